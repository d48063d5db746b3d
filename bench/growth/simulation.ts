import { quantile, seededRandom } from "../statistics.ts";
import { Fleet } from "./fleet.ts";

/** What a user does, again and again: reads and thinks, then asks. All times in seconds, all lengths in tokens. */
export interface Usage {
  /** Between an answer's end and the next question, on average; exponentially distributed. */
  think: number;
  /** Of prompts, on average; exponentially distributed. */
  prompt: number;
  /** Of answers, on average; exponentially distributed. */
  answer: number;
}

/** What one instance does. */
export interface InstanceSpeed {
  /** Tokens of prompts a second; several at once gain nothing. */
  prefill: number;
  /** Tokens a second of an answer that is written alone. */
  decode: number;
  /** Requests that it answers at once. */
  slots: number;
  /** How many times as fast as one answer so many are written side by side, all together. */
  sideBySide: (answers: number) => number;
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
  /** The part of the slots that are in use, 0 to 1. */
  busy: number;
  /** Of prompts and answers, by all users together. */
  tokensPerSecond: number;
}

/** Seconds that an average question takes of an instance with so many in its slots. */
export function serviceTime(
  { prompt, answer }: Usage,
  { prefill, decode, sideBySide }: InstanceSpeed,
  slots = 1,
): number {
  return prompt / prefill + answer / (decode * sideBySide(slots));
}

/**
 * How many instances keep the queue short: those that the users would keep busy all the time, with all slots in use, and
 * half as many again; and for few of them the square root of that number, as chance evens out among many only.
 */
export function replicasFor(users: number, usage: Usage, speed: InstanceSpeed): number {
  const busy = (users * serviceTime(usage, speed, speed.slots)) / (usage.think + serviceTime(usage, speed));
  return Math.ceil(busy * 1.5 + Math.sqrt(busy));
}

/**
 * Questions of many users, each put into a slot of the instance that has the fewest in use, or into the one queue in front
 * of all instances. Users who think and ask come, if they are many, at random moments.
 */
export function simulate({ users, usage, speed, replicas, questions, seed }: SimulationOptions): SimulationResult {
  const random = seededRandom(seed);
  const exponential = (mean: number) => -mean * Math.log(1 - random());
  const gap = (usage.think + serviceTime(usage, speed)) / users;
  const fleet = new Fleet(replicas, speed);
  let now = 0;
  let tokens = 0;
  for (let question = 0; question < questions; question++) {
    now += exponential(gap);
    const prompt = 1 + exponential(usage.prompt);
    const answer = 1 + exponential(usage.answer);
    fleet.goTo(now);
    fleet.ask({ asked: now, reading: prompt / speed.prefill, writing: answer / speed.decode });
    tokens += prompt + answer;
  }
  fleet.goTo(Infinity);
  // Of the few answers that end after the last question nothing is left out: they began before it.
  const busy = fleet.slotSeconds / (now * replicas * speed.slots);
  const firstToken = { p50: quantile(fleet.waits, 0.5), p95: quantile(fleet.waits, 0.95) };
  return { firstToken, busy, tokensPerSecond: tokens / now };
}
