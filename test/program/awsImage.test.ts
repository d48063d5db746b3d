import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { ContainerDefinition } from "../../components/aws/service/taskDefinition.ts";
import type { Statement } from "../../components/aws/policies.ts";
import type { WebServer } from "../unit/model/webServer.ts";
import { startWebServer } from "../unit/model/webServer.ts";
import type { Run } from "./program.ts";
import { ofType, runProgram } from "./program.ts";

const plain = { target: "aws", allowPlainHttp: "true", allowedCidrs: '["203.0.113.0/24"]' };
const digest = `sha256:${"0".repeat(64)}`;
const contains = (text: string) => expect.stringContaining(text) as string;

let registry: WebServer;
/** An image for linux/amd64 in a public registry. */
let image: string;

beforeAll(async () => {
  registry = await startWebServer(({ url = "" }, response) => {
    const isConfig = url.includes("/blobs/");
    const isThere = url.startsWith("/v2/bitnet/");
    const body = isConfig ? { os: "linux", architecture: "amd64" } : { config: { digest: "sha256:c" } };
    response.writeHead(isThere ? 200 : 404).end(JSON.stringify(body));
  });
  image = `${registry.url.replace("http://127.0.0.1", "localhost")}/bitnet@${digest}`;
});

afterAll(async () => {
  await registry.close();
});

async function problemsOf(config: Record<string, string>): Promise<unknown> {
  return runProgram({ ...plain, ...config }, true).then(
    () => [],
    (error: unknown) => (error as { problems?: unknown }).problems ?? error,
  );
}

function commandOf(run: Run, name: string) {
  return ofType(run, "command:local:Command").find((each) => each.name === name)?.inputs;
}

function scanOf(run: Run): unknown {
  const { IMAGE_SCAN = "{}" } = (commandOf(run, "image-scan")?.environment ?? {}) as Record<string, string>;
  return JSON.parse(IMAGE_SCAN);
}

test("an image that was built elsewhere is neither built nor pushed nor scanned here, and is what tasks run", async () => {
  const run = await runProgram({ ...plain, image });
  const built = ofType(run, "docker:index/image:Image").map(({ name }) => name);
  expect(built.toSorted()).toEqual(["gateway", "haproxy"]);
  const [task] = ofType(run, "aws:ecs/taskDefinition:TaskDefinition");
  const containers = JSON.parse(String(task?.inputs.containerDefinitions)) as ContainerDefinition[];
  expect(containers.find(({ name }) => name === "server")?.image).toBe(image);
  expect(run.outputs.image).toBe(image);
  const { images } = scanOf(run) as { images: string[] };
  expect(images.map((each) => each.split("@")[0])).toEqual(["registry/gateway", "registry/haproxy"]);
});

test("ECS may pull from the repository of ECR that it is in, and from the stack's own", async () => {
  const answer = vi.spyOn(globalThis, "fetch").mockImplementation((url) => {
    const isConfig = (url as string).includes("/blobs/");
    return Promise.resolve(Response.json(isConfig ? { os: "linux", architecture: "amd64" } : { config: { digest } }));
  });
  try {
    const elsewhere = `999999999999.dkr.ecr.eu-central-1.amazonaws.com/ci/bitnet@${digest}`;
    const run = await runProgram({ ...plain, image: elsewhere, egress: "endpoints" });
    const login = `Basic ${Buffer.from("AWS:ecr-password").toString("base64")}`;
    expect(answer.mock.calls[0]?.[1]).toMatchObject({ headers: { authorization: login } });
    const policies = ofType(run, "aws:iam/rolePolicy:RolePolicy").map(({ inputs }) => String(inputs.policy));
    const statements = policies.flatMap((policy) => (JSON.parse(policy) as { Statement: Statement[] }).Statement);
    const pull = statements.find(({ Sid }) => Sid === "PullImages");
    expect(pull?.Resource).toHaveLength(2);
    expect(pull?.Resource).toContain("arn:aws:ecr:eu-central-1:999999999999:repository/ci/bitnet");
  } finally {
    answer.mockRestore();
  }
});

test.each<[what: string, config: Record<string, string>, problem: object]>([
  ["a tag", { image: "ghcr.io/example/bitnet:latest" }, { wrong: "it names a tag, which can change" }],
  ["a name alone", { image: "ghcr.io/example/bitnet" }, { wrong: "it names no digest" }],
  ["a name alone, at a port", { image: "registry.example.com:5000/bitnet" }, { wrong: "it names no digest" }],
  ["half a digest", { image: "ghcr.io/example/bitnet@sha256:0123" }, { wrong: contains("64 hexadecimal digits") }],
  ["no registry", { image: `bitnet@${digest}` }, { wrong: contains("not in the right form") }],
])("`image` with %s is refused", async (_, config, problem) => {
  expect(await problemsOf(config)).toEqual([expect.objectContaining({ key: "image", ...problem })]);
});

test("an image for another architecture than the instances' is refused, and so is one that is not there", async () => {
  expect(await problemsOf({ image, instanceType: "c8g.2xlarge" })).toMatchObject([
    { key: "image", wrong: "it is for linux/amd64, and a c8g.2xlarge is arm64", right: contains("linux/arm64") },
  ]);
  expect(await problemsOf({ image: image.replace("/bitnet@", "/other@") })).toMatchObject([
    { key: "image", wrong: contains("404") },
  ]);
});

test("an image that instances with endpoints alone cannot reach is refused", async () => {
  const otherRegion = `123456789012.dkr.ecr.us-east-1.amazonaws.com/bitnet@${digest}`;
  for (const unreachable of [image, otherRegion]) {
    expect(await problemsOf({ image: unreachable, egress: "endpoints" })).toMatchObject([
      { key: "image", wrong: contains("no registry but ECR in eu-central-1") },
    ]);
  }
});

test("what is about a build is refused beside `image`", async () => {
  expect(await problemsOf({ image, cpuTarget: "znver4", optimize: "false" })).toMatchObject([
    { key: "optimize", wrong: contains("about building") },
    { key: "cpuTarget" },
  ]);
});

test("all images that were pushed are looked up in ECR's scan before a task runs them, and failOnCritical is handed on", async () => {
  const run = await runProgram({ ...plain, failOnCritical: "true" });
  expect(scanOf(run)).toMatchObject({ region: "eu-central-1", failOnCritical: true });
  expect((scanOf(run) as { images: string[] }).images).toHaveLength(3);
  const order = run.resources.map(({ name, type }) => `${type} ${name}`);
  const scanned = order.indexOf("command:local:Command image-scan");
  expect(scanned).toBeGreaterThan(0);
  expect(scanned).toBeLessThan(order.indexOf("aws:ecs/service:Service fleet-service"));
});
