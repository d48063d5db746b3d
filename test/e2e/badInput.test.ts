import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { writeSyntheticModel } from "../../tools/syntheticModel.ts";
import type { BrokenModels } from "./support/brokenModels.ts";
import { breakModels } from "./support/brokenModels.ts";
import { belongingsOf, docker } from "./support/docker.ts";
import { freePort } from "./support/net.ts";
import { problemOf } from "./support/problem.ts";
import type { TestModel } from "./support/testModel.ts";
import { drawModel } from "./support/testModel.ts";
import type { StackSettings } from "./support/testStack.ts";
import { TestStack } from "./support/testStack.ts";
import type { WebServer } from "./support/webServer.ts";
import { startWebServer } from "./support/webServer.ts";

/** What the message must say of the key. */
interface Refusal {
  key: string;
  wrong: RegExp;
  right: RegExp;
}

let folder: string;
let model: TestModel;
let broken: BrokenModels;
let web: WebServer;
let stack: TestStack;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bitnet-server-bad-"));
  model = await drawModel(folder);
  broken = await breakModels(model.path, folder);
  web = await startWebServer(broken);
});

afterAll(async () => {
  await web.stop();
  await rm(folder, { recursive: true });
});

beforeEach(async () => {
  stack = await TestStack.create(model.settings);
});

afterEach(async () => {
  await stack.dispose();
});

/** What the machine of the Docker Engine has. */
async function engineMachine(): Promise<{ cpus: number; memoryBytes: number }> {
  const { NCPU, MemTotal } = (await docker.info()) as { NCPU: number; MemTotal: number };
  return { cpus: NCPU, memoryBytes: MemTotal };
}

/** `up` is refused because of these settings, in one message, before anything is built. @returns all that it said */
async function expectRefusal(settings: StackSettings, ...refusals: Refusal[]): Promise<string> {
  stack.configure(settings);
  const { exitCode, output } = await stack.run("up");
  for (const { key, wrong, right } of refusals) {
    const problem = problemOf(output, key);
    expect(problem.wrong).toMatch(wrong);
    expect(problem.right).toMatch(right);
    if (settings[key] !== undefined) expect(problem.value).toBe(String(settings[key]));
  }
  expect(output).not.toMatch(/^\s+at .*:\d+:\d+/m); // a stack trace
  expect(exitCode).toBe(1);
  expect(await belongingsOf(stack)).toEqual([]);
  return output;
}

// One of each kind, on its way from the setting to the user's screen; which values and files are refused, and with what
// words, is in test/unit/settings/ and test/unit/model/.
describe("npm run up refuses settings:", () => {
  test("a misspelt model", () =>
    expectRefusal(
      { model: "bitnet-1.58-2B-4T", modelUrl: "" },
      {
        key: "model",
        wrong: /no such model|not in the catalogue|no model/i,
        right: /bitnet-b1\.58-2B-4T/,
      },
    ));

  test("more replicas than the machine has cores", async ({ skip }) => {
    const { cpus } = await engineMachine();
    skip(cpus >= 64, "64 replicas are the most that can be set, and this machine has as many CPUs");
    const refusal = { key: "replicas", wrong: /core of its own/, right: /at most \d+/ };
    await expectRefusal({ replicas: cpus + 1 }, refusal);
  });

  test("a port in use", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = address !== null && typeof address === "object" ? address.port : 0;
    await expectRefusal({ port }, { key: "port", wrong: /another program listens/, right: /free/ });
    server.close();
  });

  test("a contextSize above the model's, and parallel above what the engine answers rightly", () =>
    expectRefusal(
      { contextSize: 8192, parallel: 9 },
      { key: "contextSize", wrong: /4096/, right: /at most 4096/ },
      { key: "parallel", wrong: /ik_llama\.cpp/, right: /at most 8/ },
    ));

  test("more memory than the machine has", async () => {
    const modelUrl = join(folder, "long.gguf");
    await writeSyntheticModel(modelUrl, { size: "2b", contextLength: 1_048_576 });
    // 75 KiB of KV cache a token: 75 GiB a replica.
    const replicas = Math.ceil((await engineMachine()).memoryBytes / (75 * 2 ** 30));
    await expectRefusal(
      { modelUrl, contextSize: 1_048_576, replicas },
      { key: "replicas", wrong: /is more than the [\d,]+ MiB of memory/, right: /smaller model or contextSize/ },
    );
  });

  test("an API key with a line break, which is not shown", async () => {
    await stack.setSecret("apiKeys", JSON.stringify(["0123456789\nabcdef"]));
    const refusal = { key: "apiKeys", wrong: /has a key that is not in the right form/, right: /8 to 512/ };
    expect(await expectRefusal({}, refusal)).not.toContain("0123456789");
  });

  test("apiKey, which is apiKeys now, and the key is not shown", async () => {
    await stack.setSecret("apiKey", "0123456789abcdef");
    const refusal = { key: "apiKey", wrong: /replaced/, right: /`apiKeys`: \["KEY"\]/ };
    expect(await expectRefusal({}, refusal)).not.toContain("0123456789");
  });

  test("a baseImage that no registry has", () =>
    expectRefusal(
      { baseImage: "127.0.0.1:1/no-such-image:1" },
      { key: "baseImage", wrong: /cannot be pulled: ./, right: /docker login/ },
    ));

  test("with mistakes of every kind, and reports all of them at once, before it pulls a baseImage", async () => {
    const threads = (await engineMachine()).cpus + 1;
    const port = await freePort();
    const output = await expectRefusal(
      {
        ...{ replicas: 0, contxtSize: 2048, spot: 50, port, statsPort: port, threads },
        ...{ engineRepo: join(folder, "none.tar.gz"), modelUrl: broken.truncated },
        baseImage: "127.0.0.1:1/no-such-image:1",
      },
      { key: "replicas", wrong: /less than 1/, right: /from 1 to 64/ },
      { key: "contxtSize", wrong: /no such setting/, right: /did you mean contextSize/ },
      { key: "spot", wrong: /a setting of target aws/, right: /config rm spot/ },
      { key: "statsPort", wrong: /port is the same port/, right: /./ },
      { key: "engineRepo", wrong: /no such file/, right: /./ },
      { key: "modelUrl", wrong: /truncated/, right: /complete file/ },
      { key: "threads", wrong: /has \d+ .*cores/, right: /at most \d+/ },
    );
    expect(output).not.toContain("pull");
  });
});

describe("npm run up refuses a model's URL:", () => {
  test.each([
    ["that is 401", "/status/401", /gated or private/, /set modelToken/],
    ["that is an HTML page", "/page", /web page \(HTML\)/, /file's own address/],
  ])("%s", async (_, path, wrong, right) => {
    await expectRefusal({ modelUrl: `${web.url}${path}` }, { key: "modelUrl", wrong, right });
  });

  test("that is not http or https", () =>
    expectRefusal(
      { modelUrl: "ftp://example.com/model.gguf" },
      { key: "modelUrl", wrong: /ftp:\/\/ is not supported/, right: /http/ },
    ));
});

describe("npm run up refuses a file:", () => {
  test("of a llama model in Q4_K_M", () =>
    expectRefusal(
      { modelUrl: broken.llama },
      { key: "modelUrl", wrong: /not a BitNet model.*Q4_K/, right: /ternary|BitNet/ },
    ));

  test("that is not there", () =>
    expectRefusal({ modelUrl: join(folder, "none.gguf") }, { key: "modelUrl", wrong: /no such file/, right: /path/ }));

  test("with another sum than modelSha256 says", () =>
    expectRefusal(
      { modelSha256: "0".repeat(64) },
      { key: "modelSha256", wrong: /the sum of .* is [0-9a-f]{64}/, right: /publisher/ },
    ));
});

test("npm run up refuses a wrong passphrase, and names what it is for", async () => {
  await stack.setSecret("apiKeys", '["0123456789abcdef"]');
  const { exitCode, output } = await stack.run("up", { PULUMI_CONFIG_PASSPHRASE: "another" });
  expect(exitCode).not.toBe(0);
  expect(output).toMatch(
    new RegExp(`passphrase of stack ${stack.name}\\s+wrong: .*secrets.*\\s+right: .*PULUMI_CONFIG_PASSPHRASE`),
  );
  expect(await belongingsOf(stack)).toEqual([]);
});
