// `npm run up` and its siblings: makes this machine ready, then has Pulumi's engine run ../index.ts.
import { Command, InvalidArgumentError, Option } from "commander";
import { ExecaError } from "execa";
import { UserError } from "../components/errors.ts";
import type { BenchSettings, Invocation } from "./commands.ts";
import {
  bench,
  chat,
  destroy,
  logs,
  outputs,
  preview,
  pulumi,
  refresh,
  status,
  test,
  up,
  verifyAws,
} from "./commands.ts";
import type { LogOptions } from "./logs.ts";
import { availableMemory, describeModels, modelTable } from "./models.ts";
import { OperationFailed } from "./operation.ts";
import { Progress } from "./progress.ts";

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
}

/** How long, in ms, what is being done may take to end by itself when nobody is left who waits for it. */
const grace = 5000;

const progress = new Progress(process.stderr);
const cancelled = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, cancel);
// The channel to bootstrap.mjs has closed: that or npm was killed, and with it went whoever waits, and could press Ctrl-C.
process.on("disconnect", () => {
  cancel();
  setTimeout(cancel, grace);
});

// Whoever reads has enough: `npm run logs | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

const stackHelp =
  "default: the stack last worked on if it is up, else dev where the network is open, offline where nothing answers";
const cli = new Command("npm run").description("A BitNet model as an OpenAI-compatible API, on Pulumi");
command("up", "build, push and run; when run again, apply what changed", up);
command("preview", "say what `up` would change", preview);
command("refresh", "update the state to match what really exists", refresh);
command("destroy", "remove all that the stack made", (settings, { yes = false }) => destroy(settings, yes)).option(
  "--yes",
  "without asking, as a script must",
);
cli
  .command("outputs [name]")
  .description("the stack's outputs, or one of them alone")
  .option("--stack <name>", stackHelp)
  .option("--json", "as JSON")
  .option("--show-secrets", "secrets as they are")
  .action(async (name: string | undefined, options: Options) => {
    const { json = false, showSecrets = false } = options;
    console.log(await outputs(invocation(options), { ...(name === undefined ? {} : { name }), json, showSecrets }));
  });
cli
  .command("status")
  .description("what the stack is doing: containers, replicas, free slots, waiting requests, tokens")
  .option("--stack <name>", stackHelp)
  .option("--json", "as JSON")
  .action(async (options: Options) => {
    console.log(await status(invocation(options), options.json ?? false));
  });
cli
  .command("chat")
  .description("a conversation with the stack's model; without a terminal, one question from standard input")
  .option("--stack <name>", stackHelp)
  .option("--system <text>", "what the model is told first")
  .action(async ({ system, ...options }: Options & { system?: string }) => {
    await chat(invocation(options), system);
  });
cli
  .command("logs")
  .description("what the stack's containers print")
  .option("--stack <name>", stackHelp)
  .option("-f, --follow", "go on until Ctrl-C", false)
  .option("--tail <lines>", "of each container, how many of its last lines", lines, "all")
  .action(async ({ follow, tail, ...options }: Options & LogOptions) => {
    await logs(invocation(options), { follow, tail });
  });
cli
  .command("models")
  .description("the catalogue: what each model needs, whether it fits here, which engine runs it")
  .option("--json", "as JSON, in bytes")
  .action(async ({ json = false }: Options) => {
    const available = await availableMemory();
    const lines = await describeModels(available);
    console.log(json ? JSON.stringify(lines, undefined, 2) : modelTable(lines, available));
  });

cli
  .command("verify:aws")
  .description("check a stack on AWS from outside: deployment, targets, metrics, scaling, an answer")
  .option("--stack <name>", stackHelp)
  .action(async (options: Options) => {
    console.log(await verifyAws(invocation(options)));
  });

cli
  .command("test [args...]")
  .description("run all tests; arguments are vitest's")
  .allowUnknownOption()
  .action(async (args: string[]) => {
    process.exitCode = await test(invocation({}), args);
  });

cli
  .command("bench [parts...]")
  .description(
    "measure: tokens, answers, users, gateway, slots, start, build, growth, or those that are named; docs/performance.md",
  )
  .addOption(new Option("--model <size>", "the generated model").choices(["2b", "tiny"]).default("2b"))
  .option("--bitnet-source <location>", "bitnet.cpp's source, a git URL or a tarball")
  .option("--bitnet-ref <ref>", "its commit, tag or branch; default: docker/server/Dockerfile's")
  .option("--other-ik-source <file>", "another source of ik_llama.cpp, to compare with, a tarball")
  .option("--compile-others", "compile mainline llama.cpp, and bitnet.cpp by hand, to compare with: 20 minutes, once")
  .option("--starts <number>", "fresh starts of the part answers", positive, 50)
  .option("--repetitions <number>", "how often each thing is measured", positive, 5)
  .option("--results <folder>", "where results.json and chart.svg are written", "bench/results")
  .action(async (parts: string[], { model, compileOthers = false, ...options }: BenchCommandOptions) => {
    console.log(await bench(invocation({}), parts, { ...options, size: model, compileOthers }));
  });

cli
  .command("pulumi [args...]")
  .description("Pulumi's own CLI, on the same state: pulumi config set --secret apiKeys --stack dev")
  .helpOption(false)
  .allowUnknownOption()
  .action(async (args: string[]) => {
    process.exitCode = await pulumi(invocation({}), args);
  });

try {
  await cli.parseAsync();
} catch (error) {
  progress.stop();
  // An ExecaError is a program that failed: its message has the command and all that it said.
  const expected = [UserError, OperationFailed, ExecaError].some((type) => error instanceof type);
  console.error(expected ? `\n${(error as Error).message}` : error);
  process.exitCode = cancelled.signal.aborted ? 130 : 1;
}
// Libraries keep sockets to Docker and to the engine open.
process.exit();

function cancel(): void {
  if (cancelled.signal.aborted) process.exit(130);
  progress.note("cancelling; finishing the current step …");
  cancelled.abort();
}

type Action = (invocation: Invocation, options: Options) => Promise<string>;

function command(name: string, description: string, run: Action): Command {
  return cli
    .command(name)
    .description(description)
    .option("--stack <name>", stackHelp)
    .option("--verbose", "Pulumi's and the build's own output, instead of into a log file")
    .action(async (options: Options) => {
      console.log(await run(invocation(options), options));
    });
}

function invocation({ stack, verbose = false }: Options): Invocation {
  return { ...(stack === undefined ? {} : { stack }), verbose, progress, signal: cancelled.signal };
}

function lines(text: string): string {
  if (text !== "all" && !/^\d{1,6}$/.test(text)) throw new InvalidArgumentError("It should be a whole number, or all.");
  return text;
}

function positive(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError("It should be a whole number of at least 1.");
  return Number(text);
}
