import { z } from "zod";
import type { BenchContext } from "./context.ts";
import type { Server, ServerOptions } from "./fixtures/server.ts";
import { alone, startServers } from "./fixtures/server.ts";
import { seededRandom } from "./statistics.ts";

/** A way to run the model. */
export interface Contender {
  name: string;
  server: ServerOptions;
}

/** Tokens a second of one contender, one a repetition. */
export interface Speed {
  prefill: number[];
  decode: number[];
}

/** What a race is about. */
interface Discipline {
  /** Default: {@link measure}. */
  measure?: (server: Server, round: number) => Promise<{ prefill: number; decode: number }>;
  /** Is done once a round, while all stand still. */
  beside?: () => Promise<void>;
}

/**
 * Each in turn, again and again, while the others stand still. Each round begins with another one: the first of a round
 * came out some percent slower.
 */
export async function race(
  bench: BenchContext,
  contenders: readonly Contender[],
  { measure: take = measure, beside }: Discipline = {},
): Promise<Map<string, Speed>> {
  const servers = await startServers(
    bench,
    contenders.map(({ server }) => server),
  );
  const speeds = new Map<string, Speed>(contenders.map(({ name }) => [name, { prefill: [], decode: [] }]));
  try {
    // The first round, in which memory is touched for the first time, does not count.
    for (let round = 0; round <= bench.options.repetitions; round++) {
      for (const turn of contenders.keys()) {
        const index = (turn + round) % contenders.length;
        const [contender, server] = [contenders[index], servers[index]];
        if (contender === undefined || server === undefined) continue;
        const { name } = contender;
        const step = `${name}, ${round} of ${bench.options.repetitions}`;
        const { prefill, decode } = await bench.progress.run(step, () =>
          alone(server, servers, () => take(server, round)),
        );
        if (round === 0) continue;
        speeds.get(name)?.prefill.push(prefill);
        speeds.get(name)?.decode.push(decode);
      }
      if (round > 0 && beside !== undefined) await alone(undefined, servers, beside);
    }
  } finally {
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
  }
  return speeds;
}

const long = { promptTokens: 512, answerTokens: 64 };

const completion = z.object({
  timings: z.object({ prompt_n: z.number(), prompt_per_second: z.number(), predicted_per_second: z.number() }),
});

/** What llama-server itself says of a completion: the same clock in every engine. */
export async function measure(
  { url }: Server,
  seed: number,
  { promptTokens, answerTokens } = long,
): Promise<{ prefill: number; decode: number }> {
  const random = seededRandom(seed);
  // Tokens by number; in the generated models, which take a byte as a token, these are letters.
  const prompt = Array.from({ length: promptTokens }, () => 97 + Math.floor(random() * 26));
  const body = JSON.stringify({ prompt, n_predict: answerTokens, temperature: 0, cache_prompt: false });
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}/completion`, { method: "POST", headers, body });
  const { timings } = completion.parse(await response.json());
  if (timings.prompt_n < promptTokens) throw new Error(`only ${timings.prompt_n} of ${promptTokens} tokens were read`);
  return { prefill: timings.prompt_per_second, decode: timings.predicted_per_second };
}
