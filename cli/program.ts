import tab from "@bomb.sh/tab/commander";
import { Command, InvalidArgumentError, Option } from "commander";
import type { Assignment } from "./assignments.ts";
import { parseAssignment } from "./assignments.ts";
import type { Invocation } from "./commands/invocation.ts";
import { destroy, preview, refresh, up } from "./commands/operations.ts";
import { chat, logs, outputs, status, verifyAws } from "./commands/queries.ts";
import type { BenchSettings } from "./commands/tools.ts";
import { bench, pulumi, test } from "./commands/tools.ts";
import { ask, canAsk } from "./confirm.ts";
import { diagnose } from "./doctor/diagnose.ts";
import { describeFindings } from "./doctor/finding.ts";
import type { LogOptions } from "./logs.ts";
import { availableMemory, describeModels, modelTable } from "./models.ts";
import type { Progress } from "./progress.ts";

type BenchCommandOptions = Omit<BenchSettings, "size" | "compileOthers"> & {
  model: BenchSettings["size"];
  compileOthers?: boolean;
};

interface Options {
  stack?: string;
  verbose?: boolean;
  yes?: boolean;
  json?: boolean;
  showSecrets?: boolean;
  set?: Assignment[];
}

/** What a run of the program has. */
interface Context {
  readonly progress: Progress;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

const stackHelp =
  "default: the stack last worked on if it is up, else dev where the network is open, offline where nothing answers";

/** The command line: every command with its options, its examples and what it runs. */
export function createProgram(context: Context): Command {
  const cli = new Command("bitnet-server")
    .description("A BitNet model as an OpenAI-compatible API, on Pulumi. `npm run COMMAND -- OPTIONS` does the same.")
    .addHelpText("after", "\ndocs/commands.md has the exit codes and how to complete commands in bash and zsh.");
  const add = (words: string, description: string, examples: readonly string[]) =>
    cli
      .command(words)
      .description(description)
      .option("--no-color", "no colours, as with the variable NO_COLOR")
      .addHelpText("after", `\nExamples:\n${examples.map((example) => `  npx bitnet-server ${example}`).join("\n")}`);
  cli.hook("preAction", (_, command) => {
    const { color, yes } = command.opts<{ color?: boolean; yes?: boolean }>();
    // Programs that are run here read it as well.
    if (color === false) process.env.NO_COLOR = "1";
    if (canAsk() && yes !== true) context.progress.question = (text) => ask(text, true, context.signal);
  });
  addOperations(add, context);
  addQueries(add, context);
  addChecks(add, context);
  addTools(add, context);
  tab(cli, { completionCommandName: "completion" });
  return cli;
}

type Add = (words: string, description: string, examples: readonly string[]) => Command;

/** Adds commands that take the name of a stack. */
function ofStack(add: Add): Add {
  return (...words) => add(...words).option("--stack <name>", stackHelp);
}

/** What works on a stack by Pulumi's engine. */
function addOperations(add: Add, context: Context): void {
  const operation: Add = (...words) =>
    ofStack(add)(...words).option("--verbose", "Pulumi's and the build's own output, instead of into a log file");
  const run = (work: (invocation: Invocation, options: Options) => Promise<string>) => async (options: Options) => {
    console.log(await work(toInvocation(context, options), options));
  };
  operation("up", "build, push and run; when run again, apply what changed", ["up", "up --set replicas=2 --stack dev"])
    .option("--yes", "ask nothing: install Debian packages that are missing")
    .addOption(setOption())
    .action(run((invocation) => up(invocation)));
  operation("preview", "say what `up` would change", ["preview", "preview --set replicas=2 --json"])
    .option("--json", "as JSON")
    .addOption(setOption())
    .action(run((invocation, { json = false }) => preview(invocation, json)));
  operation("refresh", "update the state to match what really exists", ["refresh"]).action(run(refresh));
  operation("destroy", "remove all that the stack made", ["destroy", "destroy --yes --stack dev"])
    .option("--yes", "without asking, as a script must")
    .action(run((invocation, { yes = false }) => destroy(invocation, yes)));
}

/** What only reads what a stack has and does, or talks to it. */
function addQueries(add: Add, context: Context): void {
  const query = ofStack(add);
  query("outputs [name]", "the stack's outputs, or one of them alone", ["outputs", "outputs url", "outputs --json"])
    .option("--json", "as JSON")
    .option("--show-secrets", "secrets as they are")
    .action(async (name: string | undefined, options: Options) => {
      const { json = false, showSecrets = false } = options;
      const printed = { ...(name === undefined ? {} : { name }), json, showSecrets };
      console.log(await outputs(toInvocation(context, options), printed));
    });
  query("status", "what the stack is doing: containers, replicas, free slots, waiting requests, tokens", [
    "status",
    "status --json --stack dev",
  ])
    .option("--json", "as JSON")
    .action(async (options: Options) => {
      console.log(await status(toInvocation(context, options), options.json ?? false));
    });
  query("chat", "a conversation with the stack's model; without a terminal, one question from standard input", [
    "chat",
    'chat --system "Answer in one sentence."',
  ])
    .option("--system <text>", "what the model is told first")
    .action(async ({ system, ...options }: Options & { system?: string }) => {
      await chat(toInvocation(context, options), system);
    });
  query("logs", "what the stack's containers print", ["logs --tail 20", "logs --follow"])
    .option("-f, --follow", "go on until Ctrl-C", false)
    .option("--tail <lines>", "of each container, how many of its last lines", lines, "all")
    .action(async ({ follow, tail, ...options }: Options & LogOptions) => {
      await logs(toInvocation(context, options), { follow, tail });
    });
}

/** What finds faults: on this machine, of a stack on AWS; and which models fit here. */
function addChecks(add: Add, context: Context): void {
  const check = ofStack(add);
  check("doctor", "what `up` would miss on this machine, and the line that gets it", ["doctor", "doctor --json"])
    .option("--json", "as JSON")
    .action(async ({ stack, json = false }: Options) => {
      const findings = await diagnose(stack);
      console.log(json ? JSON.stringify(findings, undefined, 2) : describeFindings(findings));
      if (findings.some(({ state }) => state === "missing")) process.exitCode = 1;
    });
  check("verify-aws", "check a stack on AWS from outside: deployment, targets, metrics, scaling, an answer", [
    "verify-aws --stack prod",
  ]).action(async (options: Options) => {
    console.log(await verifyAws(toInvocation(context, options)));
  });
  add("models", "the catalogue: what each model needs, whether it fits here, which engine runs it", ["models"])
    .option("--json", "as JSON, in bytes")
    .action(async ({ json = false }: Options) => {
      const available = await availableMemory();
      const found = await describeModels(available);
      console.log(json ? JSON.stringify(found, undefined, 2) : modelTable(found, available));
    });
}

/** Other programs, with what they need made ready. */
function addTools(add: Add, context: Context): void {
  add("test [args...]", "run all tests; arguments are vitest's", ["test", "test --project unit"])
    .allowUnknownOption()
    .action(async (args: string[]) => {
      process.exitCode = await test(toInvocation(context, {}), args);
    });
  addBench(add, context);
  add("pulumi [args...]", "Pulumi's own CLI, on the same state", ["pulumi config set --secret apiKeys --stack dev"])
    .helpOption(false)
    .allowUnknownOption()
    .action(async (args: string[]) => {
      process.exitCode = await pulumi(toInvocation(context, {}), args);
    });
}

function addBench(add: Add, context: Context): void {
  const parts = "tokens, answers, users, gateway, slots, start, build, growth";
  add("bench [parts...]", `measure: ${parts}, or those that are named; docs/performance.md`, [
    "bench",
    "bench tokens answers --repetitions 3",
  ])
    .addOption(new Option("--model <size>", "the generated model").choices(["2b", "tiny"]).default("2b"))
    .option("--bitnet-source <location>", "bitnet.cpp's source, a git URL or a tarball")
    .option("--bitnet-ref <ref>", "its commit, tag or branch; default: docker/server/Dockerfile's")
    .option("--other-ik-source <file>", "another source of ik_llama.cpp, to compare with, a tarball")
    .option("--compile-others", "compile mainline llama.cpp, and bitnet.cpp by hand, to compare with: 20 minutes, once")
    .option("--starts <number>", "fresh starts of the part answers", positive, 50)
    .option("--repetitions <number>", "how often each thing is measured", positive, 5)
    .option("--results <folder>", "where results.json and chart.svg are written", "bench/results")
    .action(async (names: string[], { model, compileOthers = false, ...options }: BenchCommandOptions) => {
      console.log(await bench(toInvocation(context, {}), names, { ...options, size: model, compileOthers }));
    });
}

function setOption(): Option {
  const help = "a setting to save in Pulumi.<stack>.yaml first, as `pulumi up --config` does; may be repeated";
  return new Option("--set <key=value>", help).argParser((text, before: Assignment[] | undefined) => [
    ...(before ?? []),
    parseAssignment(text),
  ]);
}

function toInvocation(context: Context, { stack, verbose = false, set = [] }: Options): Invocation {
  return { ...(stack === undefined ? {} : { stack }), verbose, set, ...context };
}

function lines(text: string): string {
  if (text !== "all" && !/^\d{1,6}$/.test(text)) throw new InvalidArgumentError("It should be a whole number, or all.");
  return text;
}

function positive(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError("It should be a whole number of at least 1.");
  return Number(text);
}
