// `npm run up` and its siblings: prepares this machine, then runs ../index.ts with Pulumi's engine.
import { ExecaError } from "execa";
import { UserError } from "../components/errors.ts";
import { OperationFailed } from "./operation.ts";
import { checkout } from "./paths.ts";
import { createProgram } from "./program.ts";
import { Progress } from "./progress.ts";

/** Time, in ms, for a running operation to end by itself once nobody waits for it. */
const grace = 5000;

const progress = new Progress(process.stderr);
const cancelled = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, cancel);
// The channel to bootstrap.mjs has closed: it or npm was killed, so nobody waits any more, or could press Ctrl-C.
process.on("disconnect", () => {
  cancel();
  setTimeout(cancel, grace);
});

// The reader has closed the pipe: `npm run logs | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

// Paths in settings are relative to the checkout, wherever the command was given.
process.chdir(checkout);

try {
  await createProgram({ progress, signal: cancelled.signal }).parseAsync();
} catch (error) {
  progress.stop();
  // An ExecaError is a failed program; its message has the command and its whole output.
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
