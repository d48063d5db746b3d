import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inBrowser } from "./support/browser.ts";
import { chat, Chatters, client, stream } from "./support/chat.ts";
import { checkout } from "../../cli/paths.ts";
import type { Role } from "./support/docker.ts";
import { containersOf, docker } from "./support/docker.ts";
import { filesWith } from "./support/filesWith.ts";
import type { TestModel } from "./support/testModel.ts";
import { drawModel } from "./support/testModel.ts";
import type { Outputs, Run } from "./support/testStack.ts";
import { TestStack } from "./support/testStack.ts";

const key = randomBytes(24).toString("hex");
const secondKey = randomBytes(24).toString("hex");
const authorization = `Bearer ${key}`;

describe("with API keys", () => {
  let folder: string;
  let model: TestModel;
  let stack: TestStack;
  let outputs: Outputs;
  let run: Run;
  let processes: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "bitnet-server-key-"));
    model = await drawModel(folder);
    stack = await TestStack.create(model.settings);
    await stack.setSecret("apiKeys", JSON.stringify([key, secondKey]));
    const watch = watchProcesses();
    run = await stack.up();
    processes = await watch.stop();
    outputs = await stack.outputs();
  });

  afterAll(async () => {
    await stack.dispose();
    await rm(folder, { recursive: true });
  });

  test.each([
    ["the first", key],
    ["the second", secondKey],
  ])("who has %s is answered, plain and streaming", async (_, one) => {
    const openai = client(outputs.url, one);
    expect((await chat(openai, 2)).text).toBe(model.answer(2));
    expect((await stream(openai, 3)).text).toBe(model.answer(3));
  });

  test("the first one is in the outputs", () => {
    expect(outputs.apiKey).toBe(key);
  });

  test("who has none of them is refused", async () => {
    for (const wrong of ["none", `${key}x`, key.slice(0, -1), `${key}${secondKey}`]) {
      await expect(chat(client(outputs.url, wrong), 2)).rejects.toThrow(OpenAI.AuthenticationError);
    }
  });

  test.each([
    ...["GET /v1/models", "POST /v1/chat/completions", "POST /v1/completions", "POST /v1/embeddings"],
    ...["POST /completion", "POST /infill", "POST /tokenize", "GET /slots", "GET /metrics", "GET /x"],
  ])("%s asks for one", async (endpoint) => {
    expect((await request(endpoint)).status).toBe(401);
  });

  test.each(["/health", "/", "/props"])(
    "%s, which the chat page needs before it has one, does not ask for one",
    async (path) => {
      expect((await request(`GET ${path}`)).status).toBe(200);
    },
  );

  test.each([
    ...["GET /slots", "GET /metrics", "POST /props", "POST /slots/0?action=save", "POST /slots/0?action=restore"],
    ...[
      "POST /slots/0?action=erase",
      "POST /lora-adapters",
      "GET /slots/../slots",
      "GET /v1/../slots",
      "GET /v1/%2e%2e/slots",
      "GET /%73lots",
      "GET //slots",
    ],
  ])("%s is closed even to who has one", async (endpoint) => {
    // llama-server's own answers are none of these.
    expect([404, 405]).toContain((await request(endpoint, { authorization })).status);
  });

  test("the chat page asks for one, takes it in its own settings, and then chats", async () => {
    await inBrowser(async (page) => {
      await page.goto(new URL("/", outputs.url).href);
      const ask = async () => {
        const input = page.locator("textarea").first();
        await input.fill("Which digit is in this prompt: 5?");
        await input.press("Enter");
      };
      const shown = () => page.locator("body").innerText();
      await ask();
      await expect.poll(shown).toContain("You did not provide an API key.");
      await page.locator("[data-tip=Settings] button").click();
      await page.getByText("General", { exact: true }).first().click();
      await page.locator("label", { hasText: "API Key" }).locator("input").fill(key);
      await page.getByRole("button", { name: "Save", exact: true }).click();
      await ask();
      // The page folds spaces and lines.
      await expect.poll(shown, { timeout: 60_000 }).toContain(model.answer(5).slice(0, 60));
    });
  });

  test("they were on no command line while the stack was brought up, and are on none now", async () => {
    expect(processes).toContain("cli/main.ts");
    for (const one of [key, secondKey]) expect(processes).not.toContain(one);
    const label = [`bitnet-server.stack=${stack.name}`];
    for (const { Id } of await docker.listContainers({ filters: { label } })) {
      const { Processes } = (await docker.getContainer(Id).top()) as { Processes: string[][] };
      for (const one of [key, secondKey]) expect(Processes.flat().join(" ")).not.toContain(one);
    }
  });

  test.each([key, secondKey])(
    "none is in clear in the state, the settings, the logs, or what the user saw",
    async (one) => {
      const places = [stack.stateFolder, join(checkout, ".state/log"), join(checkout, ".build", stack.name)];
      expect(await filesWith(one, [...places, join(checkout, `Pulumi.${stack.name}.yaml`)])).toEqual([]);
      expect(run.output).not.toContain(one);
    },
  );

  test.each([key, secondKey])("none is in an image or in a container's log", async (one) => {
    const images = await docker.listImages({ filters: { label: [`bitnet-server.image-of=${String(stack.id)}`] } });
    expect(images).not.toEqual([]);
    for (const { Id } of images) {
      const image = docker.getImage(Id);
      expect(JSON.stringify([await image.inspect(), await image.history()])).not.toContain(one);
    }
    const label = [`bitnet-server.stack=${stack.name}`];
    for (const { Id } of await docker.listContainers({ filters: { label } })) {
      const { all } = await execa("docker", ["logs", Id], { all: true });
      expect(all).not.toContain(one);
    }
  });

  test.each([key, secondKey])("none is in what Docker tells of a container", async (one) => {
    const label = [`bitnet-server.stack=${stack.name}`];
    for (const { Id } of await docker.listContainers({ filters: { label } })) {
      expect(JSON.stringify(await docker.getContainer(Id).inspect())).not.toContain(one);
    }
  });

  test("a new one is added and an old one removed without a refused request, and replaces the gateways alone", async () => {
    const ids = async (role: Role) => (await containersOf(stack.name, role)).map(({ Id }) => Id);
    const others = async () => Promise.all((["replica", "load-balancer", "registry"] as const).map(ids));
    const [gateways, rest] = [await ids("gateway"), await others()];
    const thirdKey = randomBytes(24).toString("hex");
    const chatters = new Chatters(2, client(outputs.url, secondKey), (digit) => [model.answer(digit)]);
    try {
      await stack.setSecret("apiKeys", JSON.stringify({ web: thirdKey, batch: secondKey }));
      await stack.up();
    } finally {
      await chatters.stop();
    }
    expect(chatters.failures).toEqual([]);
    expect(chatters.answered).toBeGreaterThan(10);
    expect(await others()).toEqual(rest);
    expect(await ids("gateway")).toHaveLength(2);
    for (const id of await ids("gateway")) expect(gateways).not.toContain(id);
    expect((await chat(client(outputs.url, thirdKey), 2)).text).toBe(model.answer(2));
    await expect(chat(client(outputs.url, key), 2)).rejects.toThrow(OpenAI.AuthenticationError);
  });

  /** @param endpoint "GET /path", sent as it stands: `fetch` would tidy the path up */
  async function request(endpoint: string, headers: Record<string, string> = {}): Promise<{ status: number }> {
    const [method = "", path = ""] = endpoint.split(" ");
    const { host } = new URL(outputs.url);
    const body = method === "POST" ? ["--json", "{}"] : [];
    const given = Object.entries(headers).flatMap(([name, value]) => ["--header", `${name}: ${value}`]);
    const output = ["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--path-as-is"];
    const { stdout } = await execa("curl", [
      ...output,
      "--request",
      method,
      ...body,
      ...given,
      `http://${host}${path}`,
    ]);
    return { status: Number(stdout) };
  }
});

/** Notes every command line of this machine, some times a second. */
function watchProcesses() {
  const stopping = new AbortController();
  const seen = new Set<string>();
  const watch = async () => {
    while (!stopping.signal.aborted) {
      const { stdout } = await execa("ps", ["-eo", "args", "-ww"]);
      for (const line of stdout.split("\n")) seen.add(line);
      await sleep(200);
    }
  };
  const watching = watch();
  return {
    async stop(): Promise<string> {
      stopping.abort();
      await watching;
      return [...seen].join("\n");
    },
  };
}
