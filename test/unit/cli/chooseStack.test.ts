import { expect, test } from "vitest";
import type { Clues } from "../../../cli/chooseStack.ts";
import { chooseStack } from "../../../cli/chooseStack.ts";
import { buildSources } from "../../../cli/neededSources.ts";
import { namedStack } from "../../../cli/session.ts";
import type { Network } from "../../../cli/network.ts";
import { probeNetwork } from "../../../cli/network.ts";

const unasked = () => Promise.reject(new Error("nobody may ask"));
const none = () => Promise.resolve(undefined);
const selected = (name: string, resourceCount?: number) => () => Promise.resolve({ name, resourceCount });
const hosts = {
  "Docker Hub": "docker.io",
  "Hugging Face": "huggingface.co",
  GitHub: "github.com",
  Pulumi: "pulumi.com",
};

/** A network where these sites answer with a status, and no other can be found. */
function network(answers: Partial<Record<keyof typeof hosts, number>>): () => Promise<Network> {
  return () =>
    probeNetwork((url) => {
      const { hostname } = new URL(url);
      const [, status] = Object.entries(answers).find(([site]) => hostname.endsWith(hosts[site as "GitHub"])) ?? [];
      const cause = Object.assign(new Error(), { code: "ENOTFOUND" });
      return status === undefined
        ? Promise.reject(new TypeError("fetch failed", { cause }))
        : Promise.resolve(new Response(null, { status }));
    });
}

const open = { "Docker Hub": 401, "Hugging Face": 200, GitHub: 200, Pulumi: 200 };
const clues: Clues = {
  named: undefined,
  selected: none,
  network: unasked,
  needed: () => Promise.resolve(["Docker Hub", "Hugging Face", "GitHub"]),
};

test("the stack that the user named, and nothing else is asked", async () => {
  const named = { stack: "mine", why: "named by --stack" };
  expect(await chooseStack({ ...clues, named, selected: unasked, needed: unasked })).toEqual(named);
});

test("--stack comes before PULUMI_STACK, which plain Pulumi respects, too", () => {
  expect(namedStack("a", { PULUMI_STACK: "b" })).toEqual({ stack: "a", why: "named by --stack" });
  expect(namedStack(undefined, { PULUMI_STACK: "b" })).toEqual({ stack: "b", why: "named by PULUMI_STACK" });
  expect(namedStack(undefined, { PULUMI_STACK: "" })).toBeUndefined();
});

test.each(["", "..", "a/..", "a/b/c/d", "my stack", "prod;ls", "a".repeat(101)])(
  "--stack %j is refused before anything is read or written",
  (stack) => {
    expect(() => namedStack(stack)).toThrow(
      /^--stack: ".*"\n {2}wrong: is not the name of a stack\n {2}right: 1 to 100/,
    );
  },
);

test("the selected stack, if there is anything of it, whatever the network is now", async () => {
  const last = selected("offline", 10);
  expect(await chooseStack({ ...clues, selected: last })).toEqual({ stack: "offline", why: "last worked on" });
});

test.each([
  ["is selected", none],
  ["that is selected is up", selected("other", 0)],
  ["that is selected was ever up", selected("other")],
])("where no stack %s: dev on an open network, offline where nothing answers, with the reason", async (_, last) => {
  const without = { ...clues, selected: last };
  const dev = { stack: "dev", why: "the network is open" };
  expect(await chooseStack({ ...without, network: network(open) })).toEqual(dev);
  expect(await chooseStack({ ...without, network: network({}) })).toEqual({
    stack: "offline",
    why: "cannot reach Docker Hub, Hugging Face, GitHub, Pulumi (ENOTFOUND)",
  });
});

test.each([
  ["Docker Hub", 429, /^baseImage\n.*Docker Hub cannot be reached \(HTTP 429\)/],
  ["Hugging Face", 503, /^modelUrl\n.*Hugging Face cannot be reached \(HTTP 503\)/],
  ["GitHub", 403, /^engineRepo\n.*GitHub cannot be reached \(HTTP 403\)/],
  ["Pulumi", 502, /^Pulumi CLI\n.*Pulumi cannot be reached \(HTTP 502\)/],
] as const)(
  "if %s alone answers with %i, no toy takes the model's place: its setting is named",
  async (site, status, told) => {
    const all = () => Promise.resolve(Object.keys(open) as (keyof typeof open)[]);
    const choice = chooseStack({ ...clues, network: network({ ...open, [site]: status }), needed: all });
    await expect(choice).rejects.toThrow(told);
    await expect(choice).rejects.toThrow(/--stack offline for the test model/);
  },
);

test("a site that the stack's settings do not need is not missed", async () => {
  const answers = network({ ...open, "Docker Hub": 429 });
  const choice = await chooseStack({ ...clues, network: answers, needed: () => Promise.resolve(["GitHub"]) });
  expect(choice).toEqual({ stack: "dev", why: "the network has all that it needs" });
});

test.each([
  [{ baseImage: "debian:trixie-slim" }, ["Docker Hub", "Hugging Face", "GitHub"]],
  [{ baseImage: "docker.io/library/debian:trixie-slim" }, ["Docker Hub", "Hugging Face", "GitHub"]],
  [{ baseImage: "mirror.example.com/debian:trixie-slim" }, ["Hugging Face", "GitHub"]],
  [{ baseImage: "localhost/debian", modelUrl: "/models/mine.gguf" }, ["GitHub"]],
  [{ baseImage: "localhost:5000/debian", engineRepo: "https://git.example.com/BitNet" }, ["Hugging Face"]],
  [
    { baseImage: "x.org/debian", modelUrl: "https://huggingface.co/a/b.gguf", engineRepo: "e.tar.gz" },
    ["Hugging Face"],
  ],
  [{ baseImage: "x.org/debian", modelUrl: "m.gguf", engineRepo: "https://github.com/me/BitNet" }, ["GitHub"]],
])("with the settings %j, the image is built from %j", (settings, sites) => {
  expect(buildSources(settings as Record<string, string>)).toEqual(sites);
});
