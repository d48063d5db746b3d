import { quantile, seededRandom } from "../statistics.ts";

/** What a user does, again and again: reads and thinks, then asks. All times in seconds, all lengths in tokens. */
export interface Usage {
  /** Between an answer's end and the next question, on average; exponentially distributed. */
  think: number;
  /** Of prompts, on average; exponentially distributed. */
  prompt: number;
  /** Of answers, on average; exponentially distributed. */
  answer: number;
}

/** Tokens a second of one instance that answers one request at a time. */
export interface InstanceSpeed {
  prefill: number;
  decode: number;
}

export interface SimulationOptions {
  users: number;
  usage: Usage;
  speed: InstanceSpeed;
  replicas: number;
  /** Questions that are simulated. */
  questions: number;
  seed: number;
}

export interface SimulationResult {
  /** From the question to the first token, in seconds. */
  firstToken: { p50: number; p95: number };
  /** The part of the time that instances compute, 0 to 1. */
  busy: number;
  /** Of prompts and answers, by all users together. */
  tokensPerSecond: number;
}

/** Seconds that an average question keeps an instance busy. */
export function serviceTime({ prompt, answer }: Usage, speed: InstanceSpeed): number {
  return prompt / speed.prefill + answer / speed.decode;
}

/**
 * How many instances keep the queue short: those that the users would keep busy all the time, and half as many again;
 * and for few of them the square root of that number, as chance evens out among many only.
 */
export function replicasFor(users: number, usage: Usage, speed: InstanceSpeed): number {
  const service = serviceTime(usage, speed);
  const busy = (users * service) / (usage.think + service);
  return Math.ceil(busy * 1.5 + Math.sqrt(busy));
}

/**
 * Questions of many users, each answered by the instance that is free first: one queue in front of all instances, which
 * is what least outstanding requests come to as long as few wait. Users who think and ask come, if they are many, at
 * random moments.
 */
export function simulate({ users, usage, speed, replicas, questions, seed }: SimulationOptions): SimulationResult {
  const random = seededRandom(seed);
  const exponential = (mean: number) => -mean * Math.log(1 - random());
  const rate = users / (usage.think + serviceTime(usage, speed));
  const free = new EarliestFirst(replicas);
  const waits: number[] = [];
  let now = 0;
  let busy = 0;
  let tokens = 0;
  for (let question = 0; question < questions; question++) {
    now += exponential(1 / rate);
    const prompt = 1 + exponential(usage.prompt);
    const answer = 1 + exponential(usage.answer);
    const start = Math.max(now, free.earliest);
    const reading = prompt / speed.prefill;
    const writing = answer / speed.decode;
    waits.push(start - now + reading + 1 / speed.decode);
    free.replaceEarliest(start + reading + writing);
    busy += reading + writing;
    tokens += prompt + answer;
  }
  return {
    firstToken: { p50: quantile(waits, 0.5), p95: quantile(waits, 0.95) },
    busy: busy / (now * replicas),
    tokensPerSecond: tokens / now,
  };
}

/** When each instance is free again, as a binary heap. */
class EarliestFirst {
  readonly #times: Float64Array;

  constructor(count: number) {
    this.#times = new Float64Array(count);
  }

  get earliest(): number {
    return this.#at(0);
  }

  replaceEarliest(time: number): void {
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const child = this.#at(left + 1) < this.#at(left) ? left + 1 : left;
      if (this.#at(child) >= time) break;
      this.#times[index] = this.#at(child);
      index = child;
    }
    this.#times[index] = time;
  }

  #at(index: number): number {
    return this.#times[index] ?? Infinity;
  }
}
