import type { EngineRequest } from "../upstream/engine.ts";
import type { ChatCompletions } from "./chatCompletions.ts";
import type { Completions } from "./completions.ts";
import { sampling } from "./fields.ts";
import type { PageCompletion } from "./pageCompletion.ts";

type Known = ChatCompletions | Completions | PageCompletion;

/** The part that differs by endpoint. */
export interface Differences {
  prompt: readonly number[];
  /** Tokens of the answer. */
  length: number;
  /** Which of several answers to the same question: each has another seed. */
  choice: number;
  /** How many of the likeliest tokens to tell each time. */
  probabilities: number;
  schema: Readonly<Record<string, unknown>> | undefined;
}

/** OpenAI's fields that both engines know by the same name. */
const shared = ["temperature", "top_p", "frequency_penalty", "presence_penalty"] as const;

/**
 * The body for the engine's /completion, written field by field so that nothing else can get there. Fields that the client
 * left out are left out here too, and the engine's defaults apply.
 */
export function engineRequest(request: Known, differences: Differences): EngineRequest {
  const { prompt, length, choice, probabilities, schema } = differences;
  const named = [...shared, ...(Object.keys(sampling) as (keyof typeof sampling)[])];
  const given = named
    .map((name) => [name, request[name]] as const)
    .filter(([, value]) => value != null && value !== "");
  return {
    ...Object.fromEntries(given),
    prompt,
    n_predict: length,
    // bitnet.cpp keeps nothing of a conversation unless asked to.
    cache_prompt: true,
    stop: stopStrings(request.stop),
    ...(request.seed == null ? {} : { seed: engineSeed(request.seed, choice) }),
    ...(request.logit_bias == null ? {} : { logit_bias: biasPairs(request.logit_bias) }),
    ...(probabilities === 0 ? {} : { n_probs: probabilities }),
    ...(schema === undefined ? {} : { json_schema: schema }),
  };
}

function stopStrings(stop: Known["stop"]): string[] {
  const list = typeof stop === "string" ? [stop] : (stop ?? []);
  // An empty one stops nothing.
  return list.filter((word) => word !== "");
}

/** Engines take 32 bits. All ones mean "choose one", and so does -1 from llama.cpp's clients. */
function engineSeed(seed: number, choice: number): number {
  if (seed === -1) return 2 ** 32 - 1;
  return Number(BigInt.asUintN(32, BigInt(seed) + BigInt(choice)));
}

/** bitnet.cpp reads no objects here. */
function biasPairs(bias: Readonly<Record<string, number>>): [number, number][] {
  return Object.entries(bias).map(([token, value]) => [Number(token), value]);
}
