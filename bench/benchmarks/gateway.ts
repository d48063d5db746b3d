import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { bundleGateway } from "../../gateway/bundle.ts";
import { startFakeUpstream } from "../../tools/fakeUpstream.ts";
import { client } from "../../test/e2e/support/chat.ts";
import { freePort, isHealthy } from "../../test/e2e/support/net.ts";
import { real, startFleet, urlOf } from "../fixtures/fleet.ts";
import { ask, inTurns, letters } from "../fixtures/load.ts";
import type { Figure } from "../figures.ts";
import { median, medianRatio, seededRandom } from "../statistics.ts";
import type { BenchContext } from "../context.ts";
import type { ModelSize } from "../../tools/answerProgram.ts";

/** What the gateway costs: in time, against the load balancer asked directly; in memory; in its image. */
export async function* gateway(bench: BenchContext): AsyncGenerator<Figure> {
  await bundleGateway();
  const image = await bench.dockerBuild("bench-gateway", "docker/gateway/Dockerfile");
  // On the tiny model, whose answers take a few milliseconds, one millisecond shows.
  const short = await sideBySide(bench, image, "tiny", { pairs: 300, answerTokens: 4 });
  const latency = median(short.through.map((time, index) => time - (short.direct[index] ?? 0)));
  yield { what: "gateway: cost in latency, p50", value: latency, unit: "ms", goal: { atMost: 1 } };
  const { size, repetitions } = bench.options;
  const long = await sideBySide(bench, image, size, { pairs: 4 * repetitions, answerTokens: 64 });
  const throughput = 100 * (1 - medianRatio(long.direct, long.through));
  yield { what: "gateway: cost in throughput", value: throughput, unit: "%", goal: { atMost: 2 } };
  yield {
    what: "gateway: memory with 200 streams",
    value: await memory(bench, image),
    unit: "MB",
    goal: { atMost: 120 },
  };
  const { stdout } = await execa("docker", ["image", "inspect", "--format={{.Size}}", image]);
  yield { what: "gateway: image", value: Number(stdout) / 1e6, unit: "MB", goal: { atMost: 200 } };
}

interface Gateway extends AsyncDisposable {
  url: string;
  metricsUrl: string;
}

/** On the host's network, so that no bridge is measured with it. */
async function startGateway(bench: BenchContext, image: string, upstream: string): Promise<Gateway> {
  const [port, metricsPort] = [await freePort(), await freePort()];
  const name = `bench-gateway-${process.pid}-${port}`;
  const environment = { UPSTREAM_URL: upstream, MODEL_ALIAS: "bench", CONTEXT_SIZE: "4096", PARALLEL: "200" };
  const variables = Object.entries({ ...environment, HOST: "127.0.0.1", PORT: port, METRICS_PORT: metricsPort });
  const flags = variables.map(([key, value]) => `--env=${key}=${value}`);
  await execa("docker", [
    ...["run", "--detach", "--name", name, `--label=${bench.label}`, "--network=host", "--memory=256m"],
    ...flags,
    image,
  ]);
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; tries < 100 && !(await isHealthy(url)); tries++) await sleep(100);
  return {
    url,
    metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
    async [Symbol.asyncDispose]() {
      await execa("docker", ["rm", "--force", name], { reject: false });
    },
  };
}

/** How long the same answers take, in ms, in turns straight from the load balancer and through the gateway. */
async function sideBySide(
  bench: BenchContext,
  image: string,
  size: ModelSize,
  { pairs, answerTokens }: { pairs: number; answerTokens: number },
) {
  const server = await bench.serverImage({ engine: "ik_llama.cpp", optimize: true, size });
  const cores = await bench.twoCores();
  // A replica ends connections that are kept; in a stack the load balancer between the two knows that.
  await using fleet = await startFleet(bench, { image: server, cores, replicas: 1, slots: 1, balancers: { real } });
  const direct = urlOf(fleet, "real");
  await using gateway = await startGateway(bench, image, direct);
  return await inTurns({ direct, through: gateway.url }, pairs, answerTokens);
}

/** The most that it held, in MB, while 200 streams came slowly from a replica that computes nothing. */
async function memory(bench: BenchContext, image: string): Promise<number> {
  const fake = await startFakeUpstream();
  fake.behave({ answer: Array.from({ length: 60 }, () => " word"), tokenDelay: 250 });
  await using gateway = await startGateway(bench, image, fake.url);
  const openai = client(`${gateway.url}/v1`);
  const messages = [{ role: "user" as const, content: letters(256, seededRandom(3)) }];
  const streams = Promise.all(Array.from({ length: 200 }, () => ask(openai, { messages, answerTokens: 60 })));
  let most = 0;
  const done = new AbortController();
  const end = () => {
    done.abort();
  };
  void streams.then(end, end);
  while (!done.signal.aborted) {
    const metrics = await (await fetch(gateway.metricsUrl)).text();
    most = Math.max(most, Number(/^process_resident_memory_bytes (\S+)$/m.exec(metrics)?.[1]));
    await sleep(500);
  }
  await streams;
  await fake.close();
  return most / 1e6;
}
