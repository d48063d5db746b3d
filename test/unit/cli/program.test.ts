import { readFileSync } from "node:fs";
import { execa } from "execa";
import { afterEach, expect, test, vi } from "vitest";
import { checkout } from "../../../cli/paths.ts";
import { createProgram } from "../../../cli/program.ts";
import { commandsOf, examplesOf } from "../../../docs/generateCommands.ts";
import { Progress } from "../../../cli/progress.ts";

const program = () =>
  createProgram({ progress: new Progress({ write: () => true }), signal: new AbortController().signal });
const own = commandsOf(program());

afterEach(() => {
  vi.restoreAllMocks();
});

/** What a command prints. */
async function printed(...words: string[]): Promise<string> {
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  await program().parseAsync(words, { from: "user" });
  const lines = log.mock.calls.flat().join("\n");
  log.mockRestore();
  return lines;
}

test("every command is an npm script", () => {
  const { scripts } = JSON.parse(readFileSync(`${checkout}/package.json`, "utf8")) as {
    scripts: Record<string, string>;
  };
  for (const command of own) expect(scripts[command.name()]).toBe(`exec node cli/bootstrap.mjs ${command.name()}`);
});

test.each(own.map((command) => [command.name(), command] as const))(
  "the help of %s has examples, of options that it has",
  (name, command) => {
    const examples = examplesOf(command);
    expect(examples.length).toBeGreaterThan(0);
    const known = command.options.map(({ long }) => long);
    for (const example of examples) {
      expect(example).toMatch(new RegExp(`^npx bitnet-server ${name}( |$)`));
      if (name === "pulumi" || name === "test") continue;
      expect(known).toEqual(expect.arrayContaining(example.match(/--[a-z-]+/g) ?? []));
    }
  },
);

test.each(["outputs", "status", "models", "doctor", "preview"])("%s prints its data as JSON on demand", (name) => {
  expect(own.find((command) => command.name() === name)?.options.map(({ long }) => long)).toContain("--json");
});

test("every command takes --no-color, and programs that it runs are told by NO_COLOR", async () => {
  for (const command of own) expect(command.options.map(({ long }) => long)).toContain("--no-color");
  const { NO_COLOR: before } = process.env;
  try {
    await printed("models", "--json", "--no-color");
    expect(process.env.NO_COLOR).toBe("1");
  } finally {
    if (before === undefined) delete process.env.NO_COLOR;
    else process.env.NO_COLOR = before;
  }
});

test.each(["bash", "zsh"])("%s can complete commands and their options", async (shell) => {
  const script = await printed("completion", shell);
  expect(script).toContain("bitnet-server complete --");
  if (shell === "bash") await execa("bash", ["-n"], { input: script });
  const options = (await printed("complete", "--", "up", "--s")).split("\n").map((line) => line.split("\t", 1)[0]);
  expect(options).toEqual(expect.arrayContaining(["--stack", "--set"]));
  expect(await printed("complete", "--", "doc")).toMatch(/^doctor\t/);
  // Bash and zsh both end a word at a colon.
  for (const command of own) expect(command.name()).not.toContain(":");
});
