// `npm run up` and its siblings: makes this machine ready, then has Pulumi's engine run ../index.ts.
import { Command } from "commander";
import { ExecaError } from "execa";
import { UserError } from "../components/errors.ts";
import type { Invocation } from "./commands.ts";
import { destroy, outputs, preview, pulumi, refresh, test, up } from "./commands.ts";
import { OperationFailed } from "./operation.ts";
import { Progress } from "./progress.ts";

interface Options {
  stack?: string;
  verbose?: boolean;
  json?: boolean;
  showSecrets?: boolean;
}

const progress = new Progress(process.stderr);
const cancelled = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    if (cancelled.signal.aborted) process.exit(130);
    progress.note("cancelling: what is being done now is finished first …");
    cancelled.abort();
  });
}

const stackHelp = "default: the stack that is up, else dev where the network is open, offline where it is closed";
const cli = new Command("npm run").description("A BitNet model as an OpenAI-compatible API, on Pulumi");
command("up", "build, push and run; again: change what is to be changed", up);
command("preview", "say what `up` would change", preview);
command("refresh", "take over into the state what was changed by other means", refresh);
command("destroy", "remove all that the stack made", destroy);
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
  .command("test [args...]")
  .description("run all tests; arguments are vitest's")
  .allowUnknownOption()
  .action(async (args: string[]) => {
    process.exitCode = await test(invocation({}), args);
  });

cli
  .command("pulumi [args...]")
  .description("Pulumi's own CLI, on the same state: pulumi config set --secret apiKey --stack dev")
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

function command(name: string, description: string, run: (invocation: Invocation) => Promise<string>): void {
  cli
    .command(name)
    .description(description)
    .option("--stack <name>", stackHelp)
    .option("--verbose", "Pulumi's and the build's own output, instead of into a log file")
    .action(async (options: Options) => {
      console.log(await run(invocation(options)));
    });
}

function invocation({ stack, verbose = false }: Options): Invocation {
  return { ...(stack === undefined ? {} : { stack }), verbose, progress, signal: cancelled.signal };
}
