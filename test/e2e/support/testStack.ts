import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { execa, execaSync } from "execa";
import { dockerResourcesOf } from "../../../cli/dockerResources.ts";
import type { Deployment } from "../../../cli/deployment.ts";
import { idOf, toDeployment } from "../../../cli/deployment.ts";
import { checkout } from "../../../cli/paths.ts";
import { StackText } from "../../../cli/stackSettings.ts";
import { baseImage } from "../../../offline/baseImage.ts";
import { engineSource } from "../../../offline/engineSource.ts";
import { probeNetwork } from "../../../cli/network.ts";
import { freePort } from "./net.ts";
import { descendants } from "./processes.ts";
import type { Terminal } from "./terminal.ts";
import { inTerminal } from "./terminal.ts";

export type StackSettings = Readonly<Record<string, string | number | boolean>>;

/** Variables on top of the test's own; undefined takes one away. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What a command of the real CLI did. */
export interface Run {
  exitCode: number;
  /** Both streams, as a user sees them in a terminal. */
  output: string;
}

export interface Outputs {
  url: string;
  healthUrl: string;
  statsUrl: string;
  metricsUrl: string;
  dashboardUrl?: string;
  model: string;
  image: string;
  replicas: number;
  apiKey?: string;
}

/** Which stack, where a test needs a certain one. */
export interface Whereabouts {
  name?: string;
  /** The folder of another checkout. */
  checkout?: string;
}

/** A stack of its own name, ports, state and passphrase, so that a test touches nothing of the user's. */
export class TestStack {
  /** The folder with all of the stack's state. */
  readonly stateFolder: string;
  readonly #environment: Environment;

  /** As `pulumi stack rename` may have changed it. */
  name: string;
  readonly checkout: string;
  #id: string | undefined;

  private constructor(folder: string, { name, checkout: at }: Required<Whereabouts>) {
    this.stateFolder = folder;
    this.name = name;
    this.checkout = at;
    this.#environment = {
      PATH: [join(checkout, ".tools/bin"), process.env.PATH].join(delimiter),
      PULUMI_BACKEND_URL: `file://${folder}`,
      PULUMI_CONFIG_PASSPHRASE: randomBytes(12).toString("hex"),
      PULUMI_CONFIG_PASSPHRASE_FILE: undefined,
    };
  }

  /** @param settings on top of those of every test stack: an engine that any network has, on docker ports that are free */
  static async create(settings: StackSettings, where: Whereabouts = {}): Promise<TestStack> {
    const folder = await mkdtemp(join(tmpdir(), "bitnet-server-stack-"));
    const name = `test-${randomBytes(4).toString("hex")}`;
    const stack = new TestStack(folder, { name, checkout, ...where });
    const ports = settings.target === "aws" ? {} : await freePorts();
    stack.configure({ ...(await sources()), ...ports, ...settings });
    return stack;
  }

  /** Changes settings in Pulumi.<stack>.yaml, and keeps the others. */
  configure(settings: StackSettings): void {
    const text = new StackText(existsSync(this.#settings) ? readFileSync(this.#settings, "utf8") : "");
    for (const [key, value] of Object.entries(settings)) text.set(key, value);
    writeFileSync(this.#settings, text.toString());
  }

  get #settings(): string {
    return join(this.checkout, `Pulumi.${this.name}.yaml`);
  }

  /** The id that it has, or had before it was destroyed; undefined if it was never up. */
  get id(): string | undefined {
    this.#rememberId();
    return this.#id;
  }

  #rememberId(): void {
    this.#id = idOf(this.#deployment()) ?? this.#id;
  }

  /** The `delete` of a Command resource, and its environment, as the state has them. */
  deleteCommandOf(name: string): { script: string; environment: Record<string, string> } {
    const found = this.#deployment().resources.find(({ urn }) => urn.endsWith(`command:local:Command::${name}`));
    const { delete: script, environment } = found?.outputs as { delete: string; environment: Record<string, string> };
    return { script, environment };
  }

  /** From the backend's own file. */
  #deployment(): Deployment {
    const file = join(this.stateFolder, ".pulumi/stacks/bitnet-server", `${this.name}.json`);
    if (!existsSync(file)) return toDeployment({});
    const { checkpoint } = JSON.parse(readFileSync(file, "utf8")) as { checkpoint: { latest?: unknown } };
    return toDeployment(checkpoint.latest ?? {});
  }

  async rename(name: string): Promise<void> {
    await this.pulumi("stack", "rename", name);
    this.name = name;
  }

  /** Adds a secret to Pulumi.<stack>.yaml, encrypted, as `pulumi config set --secret` does for users. */
  async setSecret(key: string, value: string): Promise<void> {
    await this.#pulumi(["stack", "select", "--create", this.name]);
    await this.#pulumi(["config", "set", "--secret", "--stack", this.name, `bitnet-server:${key}`], value);
  }

  /** Runs `npm run <command>` for this stack. */
  async run(command: "up" | "preview" | "refresh" | "destroy", environment: Environment = {}): Promise<Run> {
    return this.runAs([], command, environment);
  }

  /** The same, with the command line behind another program, such as `setpriv --clear-groups`. */
  async runAs(wrapper: string[], command: string, environment: Environment = {}): Promise<Run> {
    this.#rememberId(); // a destroy forgets it
    const [program, ...args] = [...wrapper, process.execPath, "cli/bootstrap.mjs", command, "--stack", this.name];
    const result = await execa(program, [...args, ...(command === "destroy" ? ["--yes"] : [])], {
      cwd: this.checkout,
      env: { ...this.#environment, ...environment },
      all: true,
      reject: false,
    });
    return { exitCode: result.exitCode ?? 255, output: result.all };
  }

  /** Begins an `up`, which `signal` kills with all that it has started, as a power cut does. */
  async upUntil(signal: AbortSignal): Promise<void> {
    const args = ["cli/bootstrap.mjs", "up", "--stack", this.name];
    const running = execa(process.execPath, args, {
      cwd: this.checkout,
      env: this.#environment,
      all: true,
      reject: false,
    });
    signal.addEventListener("abort", () => {
      // One that ends meanwhile is no trouble.
      execaSync("kill", ["-KILL", ...descendants(running.pid ?? 0).map(String)], { reject: false });
    });
    const { all } = await running;
    if (!signal.aborted) throw new Error(`npm run up ended by itself:\n${all}`);
  }

  /** Begins a command in a terminal, as a user does. @param words all of it, such as "destroy --stack dev" */
  inTerminal(words: string): Terminal {
    return this.shellInTerminal(`${process.execPath} cli/bootstrap.mjs ${words}`);
  }

  /** Runs a line of shell in a terminal. */
  shellInTerminal(line: string): Terminal {
    return inTerminal(line, checkout, this.#environment);
  }

  /** Runs any command, as a script does: without a terminal. */
  async command(...words: string[]): Promise<Run & { stdout: string }> {
    const result = await execa(process.execPath, ["cli/bootstrap.mjs", ...words], {
      cwd: checkout,
      env: this.#environment,
      stdin: "ignore",
      all: true,
      reject: false,
    });
    return { exitCode: result.exitCode ?? 255, output: result.all, stdout: result.stdout };
  }

  /** `npm run pulumi -- …` that must succeed. */
  async pulumi(...args: string[]): Promise<void> {
    const command = ["cli/bootstrap.mjs", "pulumi", ...args, "--stack", this.name];
    await execa(process.execPath, command, { cwd: this.checkout, env: this.#environment });
  }

  /** `up` that must succeed. */
  async up(): Promise<Run> {
    const run = await this.run("up");
    if (run.exitCode !== 0) throw new Error(`npm run up failed:\n${run.output}`);
    return run;
  }

  async outputs(): Promise<Outputs> {
    const args = ["cli/bootstrap.mjs", "outputs", "--json", "--show-secrets", "--stack", this.name];
    const { stdout } = await execa(process.execPath, args, { cwd: this.checkout, env: this.#environment });
    return JSON.parse(stdout) as Outputs;
  }

  /** Destroys what is there, whatever the test did, and forgets the stack. */
  async dispose(): Promise<void> {
    const left = await dockerResourcesOf(this.id);
    // Replicas and gateways would drain one after another, and no client uses them any more.
    await Promise.all(left.filter(({ kind }) => kind === "container").map(({ id }) => kill(id)));
    const run = left.length > 0 ? await this.run("destroy") : undefined;
    await rm(this.#settings, { force: true });
    await rm(join(this.checkout, ".build", this.name), { recursive: true, force: true });
    await rm(this.stateFolder, { recursive: true, force: true });
    if (run !== undefined && run.exitCode !== 0) throw new Error(run.output);
  }

  async #pulumi(args: string[], input = ""): Promise<void> {
    await execa("pulumi", args, { cwd: this.checkout, env: this.#environment, input });
  }
}

/** One that does not run is as it should be. */
async function kill(container: string): Promise<void> {
  await execa("docker", ["kill", container], { reject: false });
}

/** For the settings of target docker. */
async function freePorts(): Promise<StackSettings> {
  const keys = ["port", "statsPort", "registryPort", "monitoringPort"];
  return Object.fromEntries(await Promise.all(keys.map(async (key) => [key, await freePort()] as const)));
}

/**
 * The engine comes from PyPI, which any network has; the base image from Docker Hub, where that can be reached. With
 * BITNET_SOURCE, a git URL or a tarball, the engine is bitnet.cpp from there, for any end-to-end test.
 */
export async function sources() {
  const open = (await probeNetwork()).canReach("Docker Hub");
  const image = { baseImage: open ? "debian:trixie-slim" : baseImage };
  const bitnet = process.env.BITNET_SOURCE;
  if (bitnet !== undefined) return { engine: "bitnet.cpp", engineRepo: bitnet, ...image };
  return { engine: "ik_llama.cpp", engineRepo: engineSource, ...image };
}
