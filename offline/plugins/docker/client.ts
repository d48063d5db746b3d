import Docker from "dockerode";

/** The Docker Engine that the provider was configured for, by `docker:host` and its like or by the usual environment variables. */
export function client(): Docker {
  return new Docker();
}

/** Takes over the provider's configuration, where it is given, into the environment variables that dockerode reads. */
export function configure(config: Readonly<Record<string, string>>): void {
  const { host, certPath } = config;
  if (host) process.env["DOCKER_HOST"] = host;
  if (certPath) process.env["DOCKER_CERT_PATH"] = certPath;
}

/** Whether the engine answered that there is no such object. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && "statusCode" in error && error.statusCode === 404;
}

/** The value of `lookUp`, or undefined if the engine has no such object. */
export async function unlessMissing<T>(lookUp: Promise<T>): Promise<T | undefined> {
  return lookUp.catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
}

/** What the engine itself said, or the error's own text. */
export function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const said =
    "json" in error && error.json instanceof Object && "message" in error.json ? error.json.message : undefined;
  return typeof said === "string" ? said : error.message;
}

/** Repeats `attempt` every `pause` ms until it returns something, for at most `limit` ms. */
export async function poll<T>(
  attempt: () => Promise<T | undefined>,
  pause: number,
  limit: number,
): Promise<T | undefined> {
  const deadline = Date.now() + limit;
  for (;;) {
    const result = await attempt();
    if (result !== undefined || Date.now() >= deadline) return result;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
