import type { Core } from "../../components/docker/cpus.ts";
import { client } from "../../test/e2e/support/chat.ts";
import type { Fleet } from "../fixtures/fleet.ts";
import { real, roundRobin, shapes, startFleet, urlOf, withoutRouting } from "../fixtures/fleet.ts";
import type { Request } from "../fixtures/load.ts";
import { ask, inTurns, letters, requestsEach, runClients, underLoad } from "../fixtures/load.ts";
import type { Figure } from "../figures.ts";
import { median, medianRatio, seededRandom } from "../statistics.ts";
import type { BenchContext } from "../context.ts";

/** What many users at once get to see, through the load balancer. */
export async function* users(bench: BenchContext): AsyncGenerator<Figure> {
  const cores = await bench.twoCores();
  const { size } = bench.options;
  const image = await bench.serverImage({ engine: "ik_llama.cpp", optimize: true, size });
  for (const { replicas, name } of shapes) {
    const balancers = { real, roundRobin, withoutRouting };
    await using fleet = await startFleet(bench, { image, cores, replicas, slots: 1, balancers });
    for (const clients of [1, 2, 4, 8, 16]) {
      yield* underLoad(bench, fleet, `ik_llama.cpp, ${name}`, clients);
    }
    if (replicas === 2) {
      yield* againstRoundRobin(bench, fleet);
      yield* secondTurn(bench, fleet);
    } else {
      yield* balancerThroughput(bench, fleet);
    }
  }
  yield* balancerLatency(bench, cores);
}

async function* againstRoundRobin(bench: BenchContext, fleet: Fleet): AsyncGenerator<Figure> {
  const p95: Record<"real" | "roundRobin", number[]> = { real: [], roundRobin: [] };
  for (let turn = 0; turn < 2; turn++) {
    for (const name of ["roundRobin", "real"] as const) {
      const step = `16 clients, ${name}, ${turn + 1} of 2`;
      const run = () => runClients(urlOf(fleet, name), 16, requestsEach(16));
      p95[name].push((await bench.progress.run(step, run)).firstToken.p95);
    }
  }
  yield { what: "round robin without slots, 16 clients: first token, p95", value: median(p95.roundRobin), unit: "ms" };
  yield {
    what: "first token, p95, 16 clients, of round robin's",
    value: medianRatio(p95.real, p95.roundRobin),
    unit: "×",
    goal: { atMost: 0.5 },
  };
}

/** A conversation of 1,000 tokens goes on: with routing its replica still has them, without it another one reads them. */
async function* secondTurn(bench: BenchContext, fleet: Fleet): AsyncGenerator<Figure> {
  const random = seededRandom(11);
  const times: Record<"real" | "withoutRouting", number[]> = { real: [], withoutRouting: [] };
  for (let turn = 0; turn < bench.options.repetitions; turn++) {
    for (const name of ["withoutRouting", "real"] as const) {
      const openai = client(`${urlOf(fleet, name)}/v1`);
      const first: Request = { messages: [{ role: "user", content: letters(1000, random) }], answerTokens: 8 };
      const { text } = await ask(openai, first);
      const next = { role: "user" as const, content: letters(8, random) };
      const messages = [...first.messages, { role: "assistant" as const, content: text }, next];
      times[name].push((await ask(openai, { messages, answerTokens: 8 })).firstToken);
    }
  }
  yield { what: "second turn, 1,000 tokens: first token, routed", value: median(times.real), unit: "ms" };
  yield { what: "second turn, 1,000 tokens: first token, not routed", value: median(times.withoutRouting), unit: "ms" };
  const value = medianRatio(times.withoutRouting, times.real);
  yield { what: "second turn, 1,000 tokens: not routed to routed", value, unit: "×", goal: { atLeast: 5 } };
}

/** The same request, in turns straight to the replica and through the balancer. */
async function* balancerThroughput(bench: BenchContext, fleet: Fleet): AsyncGenerator<Figure> {
  const { direct, through } = await inTurns(bothWays(fleet), 6 * bench.options.repetitions, 32);
  const value = 100 * (1 - medianRatio(direct, through));
  yield { what: "load balancer: cost in throughput", value, unit: "%", goal: { atMost: 2 } };
}

/** On the tiny model, whose answers take a few milliseconds, so that one millisecond shows. */
async function* balancerLatency(bench: BenchContext, cores: readonly Core[]): AsyncGenerator<Figure> {
  const image = await bench.serverImage({ engine: "ik_llama.cpp", optimize: true, size: "tiny" });
  await using fleet = await startFleet(bench, { image, cores, replicas: 1, slots: 1, balancers: { real } });
  const { direct, through } = await inTurns(bothWays(fleet), 300, 4);
  const value = median(through.map((time, index) => time - (direct[index] ?? 0)));
  yield { what: "load balancer: cost in latency, p50", value, unit: "ms", goal: { atMost: 1 } };
}

function bothWays(fleet: Fleet) {
  return { direct: fleet.replicas[0]?.url ?? "", through: urlOf(fleet, "real") };
}
