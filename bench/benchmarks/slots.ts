import { setTimeout as sleep } from "node:timers/promises";
import { client } from "../../test/e2e/support/chat.ts";
import type { Fleet } from "../fixtures/fleet.ts";
import { real, shapes, startFleet, urlOf } from "../fixtures/fleet.ts";
import type { LoadResult } from "../fixtures/load.ts";
import { ask, letters, loadFigures, runClients } from "../fixtures/load.ts";
import type { Figure } from "../figures.ts";
import { median, quantile, seededRandom } from "../statistics.ts";
import type { BenchContext } from "../context.ts";

const engine = "ik_llama.cpp";
const slotCounts = [1, 2, 4, 8];
/** What so many slots should reach together, as multiples of one client alone. */
const decodeGoals: Readonly<Partial<Record<number, number>>> = { 4: 2, 8: 3 };
/** Requests of all clients together: few enough that the part takes half an hour on two cores. */
const requestsOf = { 1: 10, 4: 12, 16: 16 } as const;

/** What one replica with 1 to 8 slots gives its users, and two replicas that share the cores. */
export async function* slots(bench: BenchContext): AsyncGenerator<Figure> {
  const cores = await bench.twoCores();
  const image = await bench.serverImage({ engine, optimize: true, size: bench.options.size });
  const mixes = new Map<string, LoadResult>();
  for (const { replicas, name } of shapes) {
    for (const count of replicas === 1 ? slotCounts : [1, 4]) {
      await using fleet = await startFleet(bench, { image, cores, replicas, slots: count, balancers: { real } });
      const what = `${name}, ${count} ${count === 1 ? "slot" : "slots"}`;
      for (const clients of [1, 4, 16] as const) {
        const each = Math.ceil(requestsOf[clients] / clients);
        const step = `${what}, ${clients} ${clients === 1 ? "client" : "clients"}`;
        const run = () => runClients(urlOf(fleet, "real"), clients, each);
        const load = await bench.progress.run(step, run);
        mixes.set(`${replicas}/${count}/${clients}`, load);
        yield* loadFigures(step, load);
      }
      const decodeGoal = decodeGoals[count];
      if (replicas === 1 && decodeGoal !== undefined) yield* decoding(bench, fleet, count, decodeGoal);
      if (replicas === 1 && count === 4) yield* longPrompts(bench, fleet);
    }
  }
  yield* comparison(mixes);
}

/** As many answers side by side as there are slots, to one answer alone: tokens of all clients together in a second. */
async function* decoding(bench: BenchContext, fleet: Fleet, count: number, atLeast: number): AsyncGenerator<Figure> {
  const alone = await decode(bench, fleet, 1);
  const value = (await decode(bench, fleet, count)) / alone;
  yield { what: `decode, ${count} clients on ${count} slots, to one client`, value, unit: "×", goal: { atLeast } };
}

/** Tokens a second of all clients together, from the moment that all of them have their first token. */
async function decode(bench: BenchContext, fleet: Fleet, clients: number): Promise<number> {
  const openai = client(`${urlOf(fleet, "real")}/v1`);
  const random = seededRandom(clients);
  const one = () => {
    const messages = [{ role: "user" as const, content: letters(16, random) }];
    return ask(openai, { messages, answerTokens: 96 });
  };
  const step = `decode, ${clients} ${clients === 1 ? "client" : "clients"}`;
  const samples = await bench.progress.run(step, () => Promise.all(Array.from({ length: clients }, one)));
  return (1000 * clients) / median(samples.map(({ eachToken }) => eachToken ?? Infinity));
}

/** Three users read their answers while a prompt of 2,000 tokens arrives every 10 s. */
async function* longPrompts(bench: BenchContext, fleet: Fleet): AsyncGenerator<Figure> {
  const openai = client(`${urlOf(fleet, "real")}/v1`);
  const random = seededRandom(13);
  const prompt = (tokens: number) => [{ role: "user" as const, content: letters(tokens, random) }];
  const gaps = await bench.progress.run("long prompts beside three streams", async () => {
    const streams = Promise.all(
      Array.from({ length: 3 }, () => ask(openai, { messages: prompt(16), answerTokens: 400 })),
    );
    const reading = new AbortController();
    const arriving = (async () => {
      while (!reading.signal.aborted) {
        await ask(openai, { messages: prompt(2000), answerTokens: 1 });
        await sleep(10_000, undefined, { signal: reading.signal }).catch(() => undefined);
      }
    })();
    const all = (await streams).flatMap(({ gaps }) => gaps);
    reading.abort();
    await arriving;
    return all;
  });
  const [p50, p95] = [median(gaps), quantile(gaps, 0.95)];
  yield { what: "beside prompts of 2,000 tokens: between tokens, p50", value: p50, unit: "ms" };
  yield { what: "beside prompts of 2,000 tokens: between tokens, the longest", value: Math.max(...gaps), unit: "ms" };
  const goal = { atMost: 4 };
  yield {
    what: "beside prompts of 2,000 tokens: between tokens, p95 to the median",
    value: p95 / p50,
    unit: "×",
    goal,
  };
}

/** One replica with 8 slots to one with 1: the goals of issue 12. */
function* comparison(mixes: ReadonlyMap<string, LoadResult>): Generator<Figure> {
  const ratio = (clients: number, of: (load: LoadResult) => number): number => {
    const [several, one] = [mixes.get(`1/8/${clients}`), mixes.get(`1/1/${clients}`)];
    return several === undefined || one === undefined ? NaN : of(several) / of(one);
  };
  const requests = (load: LoadResult) => load.requestsPerSecond;
  yield { what: "8 slots to 1, 16 clients: requests", value: ratio(16, requests), unit: "×", goal: { atLeast: 2 } };
  const first = ratio(16, (load) => load.firstToken.p95);
  yield { what: "8 slots to 1, 16 clients: first token, p95", value: first, unit: "×", goal: { atMost: 0.5 } };
  yield { what: "8 slots to 1, 1 client: requests", value: ratio(1, requests), unit: "×", goal: { atLeast: 0.95 } };
}
