import { expect, test } from "vitest";
import { replicasFor, serviceTime, simulate } from "../../../bench/growth/simulation.ts";

const usage = { think: 60, prompt: 300, answer: 200 };
const oneSlot = { slots: 1, sideBySide: () => 1 };
const speed = { prefill: 600, decode: 100, ...oneSlot };
const options = { users: 100, usage, speed, questions: 50_000, seed: 1 };

test("one instance with exponential service waits as queueing theory says", () => {
  // M/M/1, half busy: the mean wait is one service time, and P(wait > t) = 0.5 · exp(−t / 2s).
  const alone = { think: 0, prompt: 0, answer: 100 };
  const fast = { prefill: 1e9, decode: 101, ...oneSlot };
  const service = serviceTime({ ...alone, answer: 101 }, fast);
  const { firstToken, busy } = simulate({
    ...{ users: 1, replicas: 1, questions: 400_000, seed: 2 },
    // Thinking as long as answering takes makes it half busy.
    usage: { ...alone, think: service },
    speed: fast,
  });
  expect(busy).toBeCloseTo(0.5, 1);
  expect(firstToken.p50).toBeLessThan(0.1);
  expect(firstToken.p95 / (-2 * service * Math.log(0.05 / 0.5))).toBeCloseTo(1, 1);
});

test("with instances enough nobody waits: a first token takes as long as reading the prompt", () => {
  const { firstToken } = simulate({ ...options, replicas: 1000 });
  const reading = (Math.log(2) * usage.prompt + 1) / speed.prefill;
  expect(firstToken.p50).toBeCloseTo(reading + 1 / speed.decode, 1);
});

test("fewer instances are busier, and a first token comes later", () => {
  const [few, many] = [simulate({ ...options, replicas: 5 }), simulate({ ...options, replicas: 8 })];
  expect(few.busy).toBeGreaterThan(many.busy);
  expect(few.firstToken.p95).toBeGreaterThan(many.firstToken.p95);
  expect(few.tokensPerSecond).toBeCloseTo(many.tokensPerSecond, 0);
});

test("the same seed gives the same figures", () => {
  expect(simulate({ ...options, replicas: 6 })).toEqual(simulate({ ...options, replicas: 6 }));
});

test.each([10, 1000, 100_000])("as many instances as %i users need answer 95 of 100 questions in 4 s", (users) => {
  const replicas = replicasFor(users, usage, speed);
  const { firstToken, busy } = simulate({ ...options, users, replicas, questions: Math.max(50_000, 2 * users) });
  expect(firstToken.p95).toBeLessThan(4);
  expect(busy).toBeLessThan(0.75);
  expect(busy).toBeGreaterThan(0.2);
});

const fourSlots = { ...speed, slots: 4, sideBySide: (answers: number) => 1 + (0.77 * (answers - 1)) / 3 };

test("slots that gain nothing keep the throughput, and a first token comes sooner than behind a whole answer", () => {
  const [one, four] = [speed, { ...fourSlots, sideBySide: () => 1 }].map((each) =>
    simulate({ ...options, speed: each, replicas: 5 }),
  );
  expect(four?.tokensPerSecond).toBe(one?.tokensPerSecond);
  expect(four?.firstToken.p95).toBeLessThan(one?.firstToken.p95 ?? 0);
});

test("answers that are written faster side by side need fewer instances for as many users", () => {
  const users = 1000;
  const [one, four] = [replicasFor(users, usage, speed), replicasFor(users, usage, fourSlots)];
  // 0.5 s for the prompt and 2 s for the answer; with four side by side 0.5 s and 1.13 s.
  expect(four / one).toBeCloseTo(1.63 / 2.5, 1);
  const { firstToken } = simulate({ ...options, users, speed: fourSlots, replicas: four });
  expect(firstToken.p95).toBeLessThan(4);
});

test("an answer alone on an instance is written as fast with four slots as with one", () => {
  const alone = { ...options, users: 1, replicas: 1, questions: 2000 };
  const { firstToken } = simulate({ ...alone, speed: fourSlots });
  expect(firstToken.p50).toBeCloseTo(simulate({ ...alone, speed }).firstToken.p50, 1);
});
