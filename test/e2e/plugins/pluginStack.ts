import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import {
  LocalWorkspace,
  PulumiCommand,
  type OpMap,
  type PulumiFn,
  type Stack,
} from "@pulumi/pulumi/automation/index.js";
import { checkout, tools } from "../../../cli/paths.ts";

/** What an update did to the resources, by what it did: {create: 2, same: 1}. */
export type Changes = OpMap;

/** A stack of its own whose program is a function, run by the real Pulumi engine with our stand-in plugins. */
export class PluginStack {
  readonly #folder: string;
  readonly #stack: Stack;

  private constructor(folder: string, stack: Stack) {
    this.#folder = folder;
    this.#stack = stack;
  }

  static async create(): Promise<PluginStack> {
    const folder = await mkdtemp(join(tmpdir(), "plugin-stack-"));
    const path = [join(checkout, "offline/plugins"), join(tools, "bin"), process.env.PATH].join(delimiter);
    const nothing = () => Promise.resolve();
    const stack = await LocalWorkspace.createStack(
      { stackName: `test-${randomBytes(4).toString("hex")}`, projectName: "plugin-test", program: nothing },
      {
        pulumiCommand: await PulumiCommand.get({ root: tools }).catch(() => PulumiCommand.get()),
        projectSettings: { name: "plugin-test", runtime: "nodejs" },
        envVars: {
          PATH: path,
          // `npm test` sets the checkout's own for all that it runs.
          PULUMI_BACKEND_URL: `file://${folder}`,
          PULUMI_CONFIG_PASSPHRASE: "test",
          PULUMI_CONFIG_PASSPHRASE_FILE: "",
          PULUMI_SKIP_UPDATE_CHECK: "true",
          DOCKER_BUILDKIT: "1",
        },
      },
    );
    return new PluginStack(folder, stack);
  }

  get name(): string {
    return this.#stack.name;
  }

  /** Brings the stack to what `program` says; what it returns are the outputs. */
  async up(
    program: PulumiFn,
  ): Promise<{ changes: Changes | undefined; outputs: Record<string, unknown>; log: string }> {
    const result = await this.#stack.up({ program });
    const outputs = Object.fromEntries(
      Object.entries(result.outputs).map(([name, { value }]) => [name, value as unknown]),
    );
    return { changes: result.summary.resourceChanges, outputs, log: result.stdout };
  }

  /** `up` that must fail; returns what the user sees. */
  async failingUp(program: PulumiFn): Promise<string> {
    return this.up(program).then(
      () => Promise.reject(new Error("the update succeeded")),
      (error: unknown) => String(error),
    );
  }

  async preview(program: PulumiFn): Promise<Changes> {
    return (await this.#stack.preview({ program })).changeSummary;
  }

  async refresh(): Promise<Changes | undefined> {
    return (await this.#stack.refresh()).summary.resourceChanges;
  }

  async destroy(): Promise<void> {
    await this.#stack.destroy();
  }

  /** Takes away the lock of an engine that was killed. */
  async unlock(): Promise<void> {
    await this.#stack.cancel();
  }

  /** The stack's state as it lies on the disk. */
  async stateFile(): Promise<string> {
    return readFile(join(this.#folder, ".pulumi/stacks/plugin-test", `${this.#stack.name}.json`), "utf8");
  }

  /** Destroys what is there and forgets the stack. */
  async dispose(): Promise<void> {
    await this.destroy();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
