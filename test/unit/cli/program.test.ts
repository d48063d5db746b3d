import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
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

/** The words that `bitnet-server complete` offers, and the directive to the shell at the end. */
async function completed(...words: string[]): Promise<{ offered: string[]; directive: string | undefined }> {
  const found = (await printed("complete", "--", ...words)).split("\n").map((line) => line.split("\t", 1)[0] ?? "");
  return { offered: found.slice(0, -1), directive: found.at(-1) };
}

test("--stack is completed with the stacks that have a settings file", async () => {
  expect((await completed("up", "--stack", "")).offered).toEqual(expect.arrayContaining(["dev", "prod"]));
  expect((await completed("status", "--stack", "pro")).offered).toContain("prod");
});

test("--set is completed with the settings of the stack's target but for secrets, without a space after KEY=", async () => {
  const [onAws, onDocker, anywhere] = [
    await completed("up", "--stack", "prod", "--set", ""),
    await completed("up", "--stack", "dev", "--set", ""),
    await completed("preview", "--set", ""),
  ];
  expect(onAws.offered).toEqual(expect.arrayContaining(["model=", "maxReplicas="]));
  expect(onAws.offered).not.toContain("replicas=");
  expect(onDocker.offered).toEqual(expect.arrayContaining(["model=", "replicas="]));
  expect(onDocker.offered).not.toContain("maxReplicas=");
  expect(anywhere.offered).toEqual(expect.arrayContaining(["replicas=", "maxReplicas="]));
  expect(anywhere.offered).not.toContain("apiKeys=");
  expect([onAws.directive, onDocker.directive, (await completed("up", "--sta")).directive]).toEqual([":6", ":6", ":4"]);
});

test("bash completes KEY= and goes on there", async () => {
  const folder = mkdtempSync(join(tmpdir(), "completion-"));
  symlinkSync(join(checkout, "cli/bitnet-server.mjs"), join(folder, "bitnet-server"));
  const bash = await execa(
    join(checkout, "test/support/completeWords.sh"),
    ["bitnet-server", "up", "--stack", "prod", "--set", "maxR"],
    { input: await printed("completion", "bash"), env: { PATH: [folder, process.env.PATH].join(delimiter) } },
  );
  expect(bash.stdout.split("\n")).toEqual(expect.arrayContaining(["compopt -o nospace", "maxReplicas="]));
  rmSync(folder, { recursive: true });
});
