import { execa } from "execa";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Core } from "../../components/docker/cpus.ts";
import { inspectModel } from "../../components/model/inspect.ts";
import { imageWeights } from "../../components/model/memory.ts";
import { writeSyntheticModel } from "../../tools/syntheticModel.ts";
import { handBuiltBitnet, mainlineLlama } from "../fixtures/otherEngines.ts";
import type { Server, ServerOptions } from "../fixtures/server.ts";
import { startServer } from "../fixtures/server.ts";
import type { Figure } from "../figures.ts";
import type { Contender, Speed } from "../race.ts";
import { measure, race } from "../race.ts";
import { median, medianRatio } from "../statistics.ts";
import type { BenchContext } from "../context.ts";
import { Impossible } from "../context.ts";

/** Instead of what a race usually measures with, for what may take ten times as long. */
const short = { promptTokens: 64, answerTokens: 16 };
const threads = 2;

/** What the image runs, and everything else is compared with. */
export const ours = "ik_llama.cpp IQ2_BN, OPTIMIZE=true";
const portable = "ik_llama.cpp IQ2_BN, OPTIMIZE=false";
const bitnet = "bitnet.cpp I2_S, OPTIMIZE=true";
const byHand = "bitnet.cpp I2_S, by hand: gcc -O3 -march=native -flto";

/**
 * Prefill and decode of each engine and weight type that can be had here, side by side; then what turns them up or down.
 * TL1 and TL2 are not among them: their kernels are generated for one model's shape, which no engine here is built with.
 */
export async function* tokens(bench: BenchContext): AsyncGenerator<Figure> {
  const cores = await bench.twoCores();

  const contenders: Contender[] = [];
  for (const [name, make] of Object.entries(engines(bench, cores))) {
    try {
      const server = await make();
      // One that does not start should not end everybody's race.
      await (await startServer(bench, server))[Symbol.asyncDispose]();
      contenders.push({ name, server });
    } catch (error) {
      if (!(error instanceof Impossible)) throw error;
      yield { what: `${name}: decode`, unit: "tokens/s", note: error.message };
    }
  }
  const memory = await bandwidth(bench, cores);
  const speeds = await race(bench, contenders, { beside: memory.measure });
  yield* rows(speeds);
  yield* ratios(speeds);
  yield* ofMemory(bench, memory.bytesPerSecond, speeds.get(ours));
  yield* levers(bench, cores);
  yield* besideBusyProcess(bench, cores);
}

function engines(bench: BenchContext, cores: readonly Core[]): Record<string, () => Promise<ServerOptions>> {
  const { size } = bench.options;
  const product = (engine: "ik_llama.cpp" | "bitnet.cpp", optimize: boolean) => async () => ({
    image: await bench.serverImage({ engine, optimize, size }),
    cores,
  });
  return {
    [ours]: product("ik_llama.cpp", true),
    [portable]: product("ik_llama.cpp", false),
    "ik_llama.cpp IQ2_BN, of --other-ik-source": async () => ({
      image: await bench.serverImage({ engine: "ik_llama.cpp", optimize: true, size, otherSource: true }),
      cores,
    }),
    "ik_llama.cpp IQ1_BN": async () =>
      requantised(bench, await bench.serverImage({ engine: "ik_llama.cpp", optimize: true, size }), cores, {
        type: "IQ1_BN",
      }),
    [bitnet]: product("bitnet.cpp", true),
    [byHand]: async () => {
      const { path } = await bench.model(size);
      return plain(await handBuiltBitnet(bench), dirname(path), `${size}.gguf`, cores);
    },
    "mainline llama.cpp TQ2_0": async () => {
      const image = await mainlineLlama(bench);
      const folder = join(bench.folder, "mainline");
      await mkdir(folder, { recursive: true });
      // Zeros, in a type that it can requantise: what they are does not change how long they take.
      const source = join(folder, "zeros.gguf");
      await writeSyntheticModel(source, { size, architecture: "bitnet", weightType: "Q4_K" });
      const quantize = ["--allow-requantize", "/model/zeros.gguf", "/model/tq2.gguf", "TQ2_0", String(threads)];
      const run = ["run", "--rm", "--volume", `${folder}:/model`, "--entrypoint", "/engine/llama-quantize"];
      await execa("docker", [...run, image, ...quantize]);
      return plain(image, folder, "tq2.gguf", cores);
    },
  };
}

/** A llama-server that nobody has configured, but for what makes it comparable. */
function plain(image: string, folder: string, file: string, cores: readonly Core[]): ServerOptions {
  const where = ["--model", `/model/${file}`, "--host", "0.0.0.0", "--port", "8080"];
  const how = ["--threads", String(threads), "--ctx-size", "4096", "--parallel", "1"];
  return { image, cores, flags: [`--volume=${folder}:/model:ro`], args: [...where, ...how] };
}

function* rows(speeds: ReadonlyMap<string, Speed>): Generator<Figure> {
  for (const [name, { prefill, decode }] of speeds) {
    yield { what: `${name}: prefill`, value: median(prefill), unit: "tokens/s" };
    yield { what: `${name}: decode`, value: median(decode), unit: "tokens/s" };
  }
}

/** Ours to each other one, and bitnet.cpp in the image to bitnet.cpp by hand. */
function* ratios(speeds: ReadonlyMap<string, Speed>): Generator<Figure> {
  const wanted = { prefill: 2, decode: 1.25 };
  const others = new Set([byHand, ...speeds.keys()].filter((name) => name !== ours));
  const pairs = [...[...others].map((name) => [ours, name] as const), [bitnet, byHand] as const];
  for (const [first, name] of pairs) {
    for (const phase of ["prefill", "decode"] as const) {
      const what = `${phase}, ${first === ours ? "ours" : first} to ${name}`;
      const goal = first === ours && name === byHand ? { goal: { atLeast: wanted[phase] } } : {};
      const [one, other] = [speeds.get(first), speeds.get(name)];
      if (one === undefined || other === undefined)
        yield { what, unit: "×", ...goal, note: "one of the two is missing" };
      else yield { what, value: medianRatio(one[phase], other[phase]), unit: "×", ...goal };
    }
  }
}

/** Takes the time in which this machine reads memory, whenever it is asked to. */
async function bandwidth(bench: BenchContext, cores: readonly Core[]) {
  const image = await bench.dockerBuild("bench-bandwidth", "bench/bandwidth/Dockerfile");
  const pinned = `--cpuset-cpus=${cores.map(([first]) => first).join(",")}`;
  const bytesPerSecond: number[] = [];
  const measure = async () => {
    const { stdout } = await execa("docker", ["run", "--rm", pinned, image, String(threads), String(2 ** 30)]);
    bytesPerSecond.push(Number(stdout));
  };
  return { bytesPerSecond, measure };
}

/** How near decoding comes to reading the weights as fast as this machine reads memory in the same round. */
async function* ofMemory(
  bench: BenchContext,
  bytesPerSecond: readonly number[],
  speed?: Speed,
): AsyncGenerator<Figure> {
  yield { what: `memory, read by ${threads} threads`, value: median(bytesPerSecond) / 1e9, unit: "GB/s" };
  const engine = "ik_llama.cpp";
  const { path } = await bench.model(bench.options.size);
  const facts = await inspectModel({ key: "modelUrl", value: path, location: path, engine });
  const weights = imageWeights(facts, engine);
  yield { what: "weights that a token touches", value: weights / 1e9, unit: "GB" };
  if (speed === undefined) return;
  const value = 100 * weights * medianRatio(speed.decode, bytesPerSecond);
  yield { what: "decode, of what memory allows", value, unit: "%", goal: { atLeast: 85 } };
}

/** The image's engine with one thing changed, to the same without. */
async function* levers(bench: BenchContext, cores: readonly Core[]): AsyncGenerator<Figure> {
  const { size } = bench.options;
  const image = await bench.serverImage({ engine: "ik_llama.cpp", optimize: true, size });
  const withArguments = (...args: string[]) => ({ image, cores, args });
  const withEnvironment = (environment: Record<string, string>) => ({ image, cores, environment });
  const f16Cache = ["--cache-type-k", "f16", "--cache-type-v", "f16"];
  const unchanged = "as it is";
  const contenders: Contender[] = [
    { name: unchanged, server: withArguments() },
    { name: "embedding and output in Q4_K", server: await requantised(bench, image, cores, { embedding: "q4_K" }) },
    { name: "embedding and output in Q5_K", server: await requantised(bench, image, cores, { embedding: "q5_K" }) },
    { name: "embedding and output in Q8_0", server: await requantised(bench, image, cores, { embedding: "q8_0" }) },
    { name: "KV cache in F16", server: withArguments(...f16Cache) },
    // Only flash attention reads a cache in Q8_0.
    { name: "KV cache in F16, no flash attention", server: withArguments(...f16Cache, "--no-flash-attn") },
    { name: "transparent huge pages", server: withArguments("--transparent-huge-pages") },
    { name: "threads that stay on their core", server: withEnvironment({ OMP_PROC_BIND: "true" }) },
    { name: "threads that sleep at once while they wait", server: withEnvironment({ OMP_WAIT_POLICY: "passive" }) },
    { name: "threads that spin while they wait", server: withEnvironment(spinning) },
    { name: "1 thread", server: withEnvironment({ THREADS: "1" }) },
  ];
  const speeds = await race(bench, contenders);
  const base = speeds.get(unchanged);
  for (const [name, speed] of speeds) {
    if (base === undefined || name === unchanged) continue;
    for (const phase of ["prefill", "decode"] as const) {
      yield { what: `lever: ${name}: ${phase}`, value: medianRatio(speed[phase], base[phase]), unit: "×" };
    }
  }
}

/** How gcc's OpenMP lets threads wait if nobody says otherwise. */
const spinning = { GOMP_SPINCOUNT: "300000" };

/** What is left of the speed when one of the cores has something else to do, as on a laptop. */
async function* besideBusyProcess(bench: BenchContext, cores: readonly Core[]): AsyncGenerator<Figure> {
  const { size } = bench.options;
  const image = await bench.serverImage({ engine: "ik_llama.cpp", optimize: true, size });
  const contenders: Contender[] = [
    { name: "as it is", server: { image, cores } },
    { name: "threads that spin while they wait", server: { image, cores, environment: spinning } },
  ];
  const share = async (server: Server, round: number) => {
    const idle = await measure(server, round, short);
    const busy = await besideAnother(bench, image, cores, () => measure(server, round, short));
    return { prefill: busy.prefill / idle.prefill, decode: busy.decode / idle.decode };
  };
  for (const [name, shares] of await race(bench, contenders, { measure: share })) {
    for (const phase of ["prefill", "decode"] as const) {
      const value = 100 * median(shares[phase]);
      yield { what: `beside one busy process, ${name}: ${phase}, of alone`, value, unit: "%" };
    }
  }
}

/** While something else wants the first of the cores all the time. */
async function besideAnother<T>(
  { label }: BenchContext,
  image: string,
  [core = []]: readonly Core[],
  work: () => Promise<T>,
): Promise<T> {
  const name = `bench-busy-${process.pid}`;
  const where = ["--detach", "--rm", "--name", name, `--label=${label}`, `--cpuset-cpus=${core.join(",")}`];
  await execa("docker", ["run", ...where, "--entrypoint", "bash", image, "-c", "while :; do :; done"]);
  try {
    return await work();
  } finally {
    await execa("docker", ["rm", "--force", name]);
  }
}

interface Requantisation {
  /** The linear layers'. Default: as the image's build does it. */
  type?: "IQ1_BN" | "IQ2_BN_R4";
  /** The embedding's, which here is the output matrix as well. Default: as the image's build does it. */
  embedding?: "q4_K" | "q5_K" | "q6_K" | "q8_0";
}

/** The image with its model requantised in another way than the image's build does it. */
async function requantised(
  bench: BenchContext,
  image: string,
  cores: readonly Core[],
  { type = "IQ2_BN_R4", embedding = "q6_K" }: Requantisation,
): Promise<ServerOptions> {
  const { size } = bench.options;
  const { path } = await bench.model(size);
  const engine = await bench.serverImage({ engine: "ik_llama.cpp", optimize: true, size: "tiny", stage: "engine" });
  const folder = join(bench.folder, `${type}-${embedding}`);
  await mkdir(folder, { recursive: true });
  const changed = ["--token-embedding-type", embedding, "--output-tensor-type", embedding];
  const quantize = ["--allow-requantize", ...changed, "/from.gguf", "/model/model.gguf", type];
  const volumes = ["--volume", `${path}:/from.gguf:ro`, "--volume", `${folder}:/model`];
  const entry = ["--env", "LD_LIBRARY_PATH=/engine/lib", "--entrypoint", "/engine/llama-quantize"];
  await execa("docker", ["run", "--rm", ...volumes, ...entry, engine, ...quantize]);
  const { stdout: facts } = await execa("docker", ["run", "--rm", "--entrypoint", "cat", image, "/model/facts"]);
  await writeFile(join(folder, "facts"), `${facts}\n`);
  return { image, cores, flags: [`--volume=${folder}:/model:ro`] };
}
