import { appendFile, mkdtemp, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { checkout, tools } from "../cli/paths.ts";
import type { Progress } from "../cli/progress.ts";
import type { Core } from "../components/docker/cpus.ts";
import { inspectMachine } from "../components/docker/machine.ts";
import { isGitUrl } from "../components/image/engineSource.ts";
import type { Engine } from "../components/model/engines.ts";
import type { Answers, ModelSize } from "../tools/answerProgram.ts";
import { writeSyntheticModel } from "../tools/syntheticModel.ts";
import { buildImage } from "../test/e2e/image/build.ts";
import { sources } from "../test/e2e/support/testStack.ts";
import type { Results } from "./figures.ts";

export interface BenchOptions {
  /** The generated model that speed is measured with: `2b` has the shape of 2B-4T. */
  size: ModelSize;
  /** bitnet.cpp's source: a git URL or a tarball; undefined: what needs it says so in its row. */
  bitnetSource?: string | undefined;
  /** The commit, where `bitnetSource` is a git URL. Default: docker/server/Dockerfile's. */
  bitnetRef?: string | undefined;
  /** A tarball of another source of ik_llama.cpp than offline/'s, which is measured; undefined: nothing is compared. */
  otherIkSource?: string | undefined;
  /** Compiles mainline llama.cpp, and bitnet.cpp by hand, to compare with: ten minutes each, once. */
  compileOthers: boolean;
  /** Fresh starts of the part `answers`, of each engine. */
  starts: number;
  /** How often each thing is measured, in turns with what it is compared with. */
  repetitions: number;
}

/** What a run reports to, and is stopped by. */
export interface Surroundings {
  readonly progress: Progress;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** A generated model in a file, and what it answers. */
export interface BenchModel {
  path: string;
  bytes: number;
  answers: Answers;
}

export interface ServerBuild {
  engine: Engine;
  optimize: boolean;
  size: ModelSize;
  /** A stage of docker/server/Dockerfile instead of the finished image. */
  stage?: string;
  /** Of ik_llama.cpp, `--other-ik-source` instead of the project's. */
  otherSource?: boolean;
}

/** What cannot be done here, and why: it becomes the note of a row. */
export class Impossible extends Error {}

/** What parts are measured with: models and images, each made when it is first asked for, all gone in the end. */
export class BenchContext implements AsyncDisposable {
  readonly options: BenchOptions;
  readonly progress: Progress;
  /** Of earlier parts and runs. */
  readonly results: Results;
  readonly folder: string;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** What every container of this run is labelled with. */
  readonly label = `bitnet-server.bench=${process.pid}`;
  readonly #models = new Map<ModelSize, Promise<BenchModel>>();
  readonly #images = new Map<string, Promise<void>>();

  private constructor(folder: string, results: Results, options: BenchOptions, { progress, signal }: Surroundings) {
    this.folder = folder;
    this.results = results;
    this.options = options;
    this.progress = progress;
    this.signal = signal;
    // Whoever waits for an answer of them meets an error, and so comes to its end.
    signal.addEventListener("abort", () => void this.#removeContainers());
  }

  static async open(options: BenchOptions, results: Results, surroundings: Surroundings): Promise<BenchContext> {
    // On the checkout's file system, where build contexts link to the models instead of copying them.
    return new BenchContext(await mkdtemp(join(tools, "bench-")), results, options, surroundings);
  }

  /** This machine's cores, as the docker target shares them out. */
  async cores(): Promise<readonly Core[]> {
    const anyPort = { port: 0, statsPort: 0, registryPort: 0 };
    return (await inspectMachine({ id: undefined, stack: "bench" }, "127.0.0.1", anyPort)).cores;
  }

  /** @throws Impossible if there are not two of them */
  async twoCores(): Promise<readonly Core[]> {
    const cores = (await this.cores()).slice(0, 2);
    if (cores.length < 2) throw new Impossible("two cores are needed");
    return cores;
  }

  async model(size: ModelSize): Promise<BenchModel> {
    return getOrMake(this.#models, size, async () => {
      const path = join(this.folder, `${size}.gguf`);
      const write = () => writeSyntheticModel(path, { size, words: 120, seed: 5, name: `bench-${size}` });
      const answers = await this.progress.run(`model ${size}: generating`, write);
      return { path, answers, bytes: (await stat(path)).size };
    });
  }

  /**
   * The image as docker/server/Dockerfile makes it.
   * @returns its name
   * @throws Impossible if the engine's source is not there
   */
  async serverImage(wanted: ServerBuild): Promise<string> {
    const { engine, optimize, size, stage, otherSource = false } = wanted;
    const name = nameOf(wanted);
    await this.image(name, async () => {
      const model = (await this.model(size)).path;
      const { files, args } = this.engineSource(engine, otherSource);
      const { succeeded, output } = await buildImage({
        files: { ...files, model },
        args: { ...args, OPTIMIZE: String(optimize) },
        tag: name,
        // What a Dockerfile builds is its last stage.
        change: async (context) => {
          if (stage !== undefined) await appendFile(join(context, "Dockerfile"), `\nFROM ${stage}\n`);
        },
      });
      if (!succeeded) throw new Impossible(`the image cannot be built: ${lastLines(output)}`);
    });
    return name;
  }

  /** For {@link buildImage}: where an engine's source is. */
  engineSource(engine: Engine, otherSource = false): { files: { engine?: string }; args: Record<string, string> } {
    const { bitnetSource, bitnetRef, otherIkSource } = this.options;
    if (otherSource) {
      if (otherIkSource === undefined)
        throw new Impossible(`no other source of ${engine}: give one with --other-ik-source`);
      return { files: { engine: otherIkSource }, args: { ENGINE: engine } };
    }
    if (engine === "ik_llama.cpp") return { files: {}, args: { ENGINE: engine } };
    if (bitnetSource === undefined) throw new Impossible("no source of bitnet.cpp: give one with --bitnet-source");
    if (!isGitUrl(bitnetSource)) return { files: { engine: bitnetSource }, args: { ENGINE: engine } };
    const ref: Record<string, string> = bitnetRef === undefined ? {} : { ENGINE_REF: bitnetRef };
    return { files: {}, args: { ENGINE: engine, ENGINE_REPO: bitnetSource, ...ref } };
  }

  /** Makes an image once; it is removed in the end. */
  async image(name: string, build: () => Promise<unknown>): Promise<void> {
    this.signal.throwIfAborted();
    await getOrMake(this.#images, name, async () => {
      await this.progress.run(`image ${name}: building`, build);
    });
  }

  /**
   * Builds one of bench/'s own Dockerfiles, or the load balancer's.
   * @param dockerfile relative to the checkout
   */
  async dockerBuild(name: string, dockerfile: string, args: Readonly<Record<string, string>> = {}): Promise<string> {
    await this.image(name, async () => {
      const { baseImage } = await sources();
      const buildArgs = Object.entries({ BASE_IMAGE: baseImage, ...args }).map(([key, value]) => `${key}=${value}`);
      const flags = buildArgs.flatMap((arg) => ["--build-arg", arg]);
      const folder = join(dockerfile, "..");
      await execa("docker", ["build", "--tag", name, "--file", dockerfile, ...flags, folder], { cwd: checkout });
    });
    return name;
  }

  async #removeContainers(): Promise<void> {
    const { stdout } = await execa("docker", ["ps", "--all", "--quiet", "--filter", `label=${this.label}`]);
    if (stdout !== "") await execa("docker", ["rm", "--force", ...stdout.split("\n")], { reject: false });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await execa("docker", ["rmi", "--force", ...this.#images.keys()], { reject: false });
    await rm(this.folder, { recursive: true, force: true });
  }
}

function getOrMake<K, V>(made: Map<K, Promise<V>>, key: K, make: () => Promise<V>): Promise<V> {
  const value = made.get(key) ?? make();
  made.set(key, value);
  return value;
}

/** Every build that differs has a name of its own. */
function nameOf({ engine, optimize, size, stage, otherSource = false }: ServerBuild): string {
  const differs = [otherSource ? "other" : undefined, stage];
  const parts = ["bench", engine, optimize ? "optimized" : "portable", size, ...differs];
  return parts.filter((part) => part !== undefined).join("-");
}

/** What a failed build said last, on one line. */
function lastLines(output: string): string {
  return output.trimEnd().split("\n").slice(-3).join(" / ");
}
