import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { pythonWith } from "./support/python.ts";
import { ctrlC } from "./support/terminal.ts";
import type { TestModel } from "./support/testModel.ts";
import { drawModel } from "./support/testModel.ts";
import type { Outputs } from "./support/testStack.ts";
import { TestStack } from "./support/testStack.ts";

const key = randomBytes(24).toString("hex");
const question = "Which digit is in this prompt: 7?";

let folder: string;
let model: TestModel;
let stack: TestStack;
let outputs: Outputs;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bitnet-server-clients-"));
  model = await drawModel(folder);
  stack = await TestStack.create(model.settings);
  await stack.setSecret("apiKeys", JSON.stringify([key]));
  await stack.up();
  outputs = await stack.outputs();
});

afterAll(async () => {
  await stack.dispose();
  await rm(folder, { recursive: true });
});

test("the official Python client reads answers, streams, models and refusals", async () => {
  const python = join(await pythonWith("openai==3.57.0"), "python");
  const script = "test/e2e/support/openai_client.py";
  const { stdout } = await execa(python, [script, outputs.url, question], { env: { API_KEY: key } });
  expect(JSON.parse(stdout)).toEqual({
    chat: [model.answer(7), "stop", true],
    stream: model.answer(7),
    streamUsage: true,
    completion: ["length", 3],
    models: [model.name],
    model: model.name,
    badField: { type: "BadRequestError", status: 400, param: "temperature", code: null },
    noModel: { type: "NotFoundError", status: 404, param: "model", code: "model_not_found" },
    noEmbeddings: { type: "NotFoundError", status: 404, param: null, code: "unknown_url" },
    wrongKey: { type: "AuthenticationError", status: 401, param: null, code: "invalid_api_key" },
  });
});

test("npm run chat is a conversation in the terminal, and knows the stack's key", async () => {
  await using terminal = stack.inTerminal(`chat --stack ${stack.name}`);
  await terminal.shows("> ");
  terminal.type(`${question}\r`);
  await terminal.shows(model.answer(7).slice(0, 40));
  terminal.type(ctrlC);
  await terminal.shows(/\n[^\n]*> [^\n]*$/);
  terminal.type("\u0004");
  expect(await terminal.ended).toBe(0);
});

test("npm run status shows containers, replicas, slots and what was read and written", async () => {
  const { exitCode, output } = await stack.command("status", "--stack", stack.name);
  expect(exitCode, output).toBe(0);
  expect(output).toContain(outputs.image);
  expect(output).toMatch(/^fleet-replica-0-\w+ +Up .*\(healthy\)$/m);
  expect(output).toMatch(/^llama-\d+ +UP +0 of [1-9]\d* +\d+/m);
  expect(output).toMatch(/^requests waiting: 0$/m);
  expect(output).toMatch(/since the gateways started: [1-9]\d* requests, [\d,]+ tokens read, [1-9][\d,]* written, \d/);
  const { stdout } = await stack.command("status", "--stack", stack.name, "--json");
  expect(JSON.parse(stdout)).toMatchObject({ waiting: 0, replicas: [{ state: "UP", busy: 0 }] });
});

test("npm run logs shows what each of the stack's containers printed, behind its name", async () => {
  const { exitCode, output } = await stack.command("logs", "--stack", stack.name, "--tail", "20");
  expect(exitCode, output).toBe(0);
  for (const name of ["replica-0", "gateway-1", "gateway-2", "load-balancer"])
    expect(output).toMatch(new RegExp(`^fleet-${name}-\\w+ +\\S`, "m"));
  expect(output).not.toContain(key);
  const later = await stack.command("logs", "--stack", stack.name, "--tail", "some");
  expect(later.exitCode).toBe(1);
  expect(later.output).toContain("It should be a whole number, or all.");
});

test("chat, logs and status of a stack that is not up say so", async () => {
  const other = await TestStack.create({});
  try {
    await other.pulumi("config", "set", "replicas", "1");
    for (const command of ["chat", "logs", "status"]) {
      const { exitCode, output } = await other.command(command, "--stack", other.name);
      expect(exitCode).toBe(1);
      expect(output).toContain(`is not up: npm run up -- --stack ${other.name}`);
    }
  } finally {
    await other.dispose();
  }
});
