import { Command, InvalidArgumentError, Option } from "commander";
import type { Assignment } from "./assignments.ts";
import { parseAssignment } from "./assignments.ts";
import type { Invocation } from "./commands/invocation.ts";
import { destroy, preview, refresh, up } from "./commands/operations.ts";
import { chat, logs, outputs, status, verifyAws } from "./commands/queries.ts";
import type { BenchSettings } from "./commands/tools.ts";
import { bench, pulumi, test } from "./commands/tools.ts";
import { addCompletion } from "./completion.ts";
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

/** What every command shares. */
interface Context {
  readonly progress: Progress;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

const stackHelp = "default: the last stack if it is up; otherwise dev on an open network, offline on a closed one";

/** The command line: every command with its options, its examples and what it runs. */
export function createProgram(context: Context): Command {
  const cli = new Command("bitnet-server")
    .description("A BitNet model as an OpenAI-compatible API, on Pulumi. `npm run COMMAND -- OPTIONS` does the same.")
    .addHelpText("after", "\ndocs/commands.md explains exit codes and completion in bash and zsh.");
  const add = (words: string, description: string, examples: readonly string[]) =>
    cli
      .command(words)
      .description(description)
      .option("--no-color", "print no colours, like the variable NO_COLOR")
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
  addCompletion(cli);
  return cli;
}

type Add = (words: string, description: string, examples: readonly string[]) => Command;

/** Adds commands that take the name of a stack. */
function ofStack(add: Add): Add {
  return (...words) => add(...words).option("--stack <name>", stackHelp);
}

/** Commands that run Pulumi's engine on a stack. */
function addOperations(add: Add, context: Context): void {
  const operation: Add = (...words) =>
    ofStack(add)(...words).option(
      "--verbose",
      "print the output of Pulumi and the builds instead of writing it to a log file",
    );
  const run = (work: (invocation: Invocation, options: Options) => Promise<string>) => async (options: Options) => {
    console.log(await work(toInvocation(context, options), options));
  };
  operation("up", "build, push and run; apply changes when run again", ["up", "up --set replicas=2 --stack dev"])
    .option("--yes", "install missing Debian packages without asking")
    .addOption(setOption())
    .action(run((invocation) => up(invocation)));
  operation("preview", "show what `up` would change", ["preview", "preview --set replicas=2 --json"])
    .option("--json", "as JSON")
    .addOption(setOption())
    .action(run((invocation, { json = false }) => preview(invocation, json)));
  operation("refresh", "update Pulumi's state to match what is running", ["refresh"]).action(run(refresh));
  operation("destroy", "remove everything that the stack created", ["destroy", "destroy --yes --stack dev"])
    .option("--yes", "do not ask for confirmation; required in scripts")
    .action(run((invocation, { yes = false }) => destroy(invocation, yes)));
}

/** Commands that read a stack's state, or talk to its model. */
function addQueries(add: Add, context: Context): void {
  const query = ofStack(add);
  query("outputs [name]", "print the stack's outputs, or a single one", ["outputs", "outputs url", "outputs --json"])
    .option("--json", "as JSON")
    .option("--show-secrets", "print secrets in plain text")
    .action(async (name: string | undefined, options: Options) => {
      const { json = false, showSecrets = false } = options;
      const printed = { ...(name === undefined ? {} : { name }), json, showSecrets };
      console.log(await outputs(toInvocation(context, options), printed));
    });
  query("status", "show containers, replicas, busy slots, waiting requests and tokens", [
    "status",
    "status --json --stack dev",
  ])
    .option("--json", "as JSON")
    .action(async (options: Options) => {
      console.log(await status(toInvocation(context, options), options.json ?? false));
    });
  query("chat", "chat with the stack's model; without a terminal, ask one question from standard input", [
    "chat",
    'chat --system "Answer in one sentence."',
  ])
    .option("--system <text>", "system prompt")
    .action(async ({ system, ...options }: Options & { system?: string }) => {
      await chat(toInvocation(context, options), system);
    });
  query("logs", "print the logs of the stack's containers", ["logs --tail 20", "logs --follow"])
    .option("-f, --follow", "follow the logs until Ctrl-C", false)
    .option("--tail <lines>", "number of last lines of each container", lines, "all")
    .action(async ({ follow, tail, ...options }: Options & LogOptions) => {
      await logs(toInvocation(context, options), { follow, tail });
    });
}

/** Commands that check this machine, a stack on AWS, and which models fit here. */
function addChecks(add: Add, context: Context): void {
  const check = ofStack(add);
  check("doctor", "list what `up` needs and this machine lacks, with the command that installs it", [
    "doctor",
    "doctor --json",
  ])
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
  add("models", "list the catalogue: what each model needs, whether it fits here, which engine runs it", ["models"])
    .option("--json", "as JSON, in bytes")
    .action(async ({ json = false }: Options) => {
      const available = await availableMemory();
      const found = await describeModels(available);
      console.log(json ? JSON.stringify(found, undefined, 2) : modelTable(found, available));
    });
}

/** Commands that run other programs, after preparing what these need. */
function addTools(add: Add, context: Context): void {
  add("test [args...]", "run all tests; arguments go to vitest", ["test", "test --project unit"])
    .allowUnknownOption()
    .action(async (args: string[]) => {
      process.exitCode = await test(toInvocation(context, {}), args);
    });
  addBench(add, context);
  add("pulumi [args...]", "run Pulumi's own CLI on the same state", ["pulumi config set --secret apiKeys --stack dev"])
    .helpOption(false)
    .allowUnknownOption()
    .action(async (args: string[]) => {
      process.exitCode = await pulumi(toInvocation(context, {}), args);
    });
}

function addBench(add: Add, context: Context): void {
  const parts = "tokens, answers, users, gateway, slots, start, build, growth";
  add("bench [parts...]", `run all benchmarks, or those named of ${parts}; see docs/performance.md`, [
    "bench",
    "bench tokens answers --repetitions 3",
  ])
    .addOption(new Option("--model <size>", "size of the generated model").choices(["2b", "tiny"]).default("2b"))
    .option("--bitnet-source <location>", "source of bitnet.cpp: a git URL or a tarball")
    .option("--bitnet-ref <ref>", "its commit, tag or branch; default: docker/server/Dockerfile's")
    .option("--other-ik-source <file>", "tarball of another ik_llama.cpp to compare with")
    .option("--compile-others", "compile llama.cpp and bitnet.cpp to compare with; takes 20 minutes, once")
    .option("--starts <number>", "number of fresh starts in the benchmark answers", positive, 50)
    .option("--repetitions <number>", "number of repetitions of each measurement", positive, 5)
    .option("--results <folder>", "folder for results.json and chart.svg", "bench/results")
    .action(async (names: string[], { model, compileOthers = false, ...options }: BenchCommandOptions) => {
      console.log(await bench(toInvocation(context, {}), names, { ...options, size: model, compileOthers }));
    });
}

function setOption(): Option {
  const help = "save a setting in Pulumi.<stack>.yaml first, like `pulumi up --config`; repeatable";
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
