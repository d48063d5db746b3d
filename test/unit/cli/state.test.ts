import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { prepareState } from "../../../cli/state.ts";

let folder: string;
let env: NodeJS.ProcessEnv;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "bitnet-server-state-"));
  env = { PULUMI_HOME: join(folder, "pulumi-home") };
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

test("state goes into files of the checkout, and a passphrase is made once, for the owner's eyes only", () => {
  const passphrase = join(folder, "passphrase");
  expect(prepareState(folder, env)).toEqual({
    PULUMI_BACKEND_URL: `file://${join(folder, "backend")}`,
    PULUMI_CONFIG_PASSPHRASE_FILE: passphrase,
  });
  expect(statSync(passphrase).mode & 0o777).toBe(0o600);
  const first = readFileSync(passphrase, "utf8");
  expect(first.length).toBeGreaterThanOrEqual(32);
  prepareState(folder, env);
  expect(readFileSync(passphrase, "utf8")).toBe(first);
});

test.each(["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"])(
  "no passphrase is made where %s is set",
  (name) => {
    const variables = prepareState(folder, { ...env, [name]: "" });
    expect(variables).not.toHaveProperty("PULUMI_CONFIG_PASSPHRASE_FILE");
    expect(() => statSync(join(folder, "passphrase"))).toThrow("ENOENT");
  },
);

test("PULUMI_BACKEND_URL is respected", () => {
  expect(prepareState(folder, { ...env, PULUMI_BACKEND_URL: "s3://bucket" })).not.toHaveProperty("PULUMI_BACKEND_URL");
});

test("an earlier `pulumi login` is respected, and `pulumi logout` too", () => {
  const credentials = join(folder, "pulumi-home", "credentials.json");
  mkdirSync(join(folder, "pulumi-home"));
  writeFileSync(credentials, JSON.stringify({ current: "https://api.pulumi.com" }));
  expect(prepareState(folder, env)).not.toHaveProperty("PULUMI_BACKEND_URL");
  writeFileSync(credentials, JSON.stringify({ current: "" }));
  expect(prepareState(folder, env)).toHaveProperty("PULUMI_BACKEND_URL");
});
