import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { state } from "./paths.ts";

/** The environment variables that tell Pulumi where a stack's state is and how to read its secrets. */
export type StateVariables = Readonly<Partial<Record<"PULUMI_BACKEND_URL" | "PULUMI_CONFIG_PASSPHRASE_FILE", string>>>;

/**
 * State goes where the user said (PULUMI_BACKEND_URL, or an earlier `pulumi login`), else into files in `folder`; its
 * passphrase is the user's (PULUMI_CONFIG_PASSPHRASE, PULUMI_CONFIG_PASSPHRASE_FILE), else made once, for the owner's
 * eyes only.
 * @returns the variables to add to the environment
 */
export function prepareState(folder = state, env: NodeJS.ProcessEnv = process.env): StateVariables {
  const backend = join(folder, "backend");
  const passphrase = join(folder, "passphrase");
  const ownBackend = env.PULUMI_BACKEND_URL !== undefined || isLoggedIn(env);
  const ownPassphrase = env.PULUMI_CONFIG_PASSPHRASE !== undefined || env.PULUMI_CONFIG_PASSPHRASE_FILE !== undefined;

  mkdirSync(backend, { recursive: true });
  if (!ownPassphrase && !existsSync(passphrase)) {
    writeFileSync(passphrase, randomBytes(24).toString("base64url"), { mode: 0o600, flag: "wx" });
  }
  return {
    ...(ownBackend ? {} : { PULUMI_BACKEND_URL: `file://${backend}` }),
    ...(ownPassphrase ? {} : { PULUMI_CONFIG_PASSPHRASE_FILE: passphrase }),
  };
}

/** Whether `pulumi login` has chosen a backend. */
function isLoggedIn(env: NodeJS.ProcessEnv): boolean {
  const file = join(env.PULUMI_HOME ?? join(homedir(), ".pulumi"), "credentials.json");
  if (!existsSync(file)) return false;
  const { current } = JSON.parse(readFileSync(file, "utf8")) as { current?: string };
  return current !== undefined && current !== "";
}
