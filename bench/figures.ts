import { z } from "zod";

/** The parts of `npm run bench`, in the order in which they run: growth reckons with what tokens measured. */
export const partNames = ["tokens", "answers", "users", "gateway", "slots", "start", "build", "growth"] as const;
export type PartName = (typeof partNames)[number];

const goal = z.union([z.object({ atLeast: z.number() }), z.object({ atMost: z.number() })]);
export type Goal = z.infer<typeof goal>;

const figure = z.object({
  /** What was measured; unique within its part. */
  what: z.string(),
  /** Left out where it could not be measured; `note` then says why. */
  value: z.number().optional(),
  /** Such as tokens/s, ms, ×, %. */
  unit: z.string(),
  /** Left out where the figure is there to compare with. */
  goal: goal.optional(),
  note: z.string().optional(),
});

/** One row of the table. */
export type Figure = z.infer<typeof figure>;

const partResult = z.object({
  /** When it was measured, in ISO 8601. */
  date: z.string(),
  /** The commit that was measured; with a + if files were changed since. */
  commit: z.string(),
  /** CPU and cores. */
  machine: z.string(),
  /** The generated model's size. */
  model: z.string(),
  /** How long the part took. */
  seconds: z.number(),
  figures: z.array(figure),
});
export type PartResult = z.infer<typeof partResult>;

/** bench/results/results.json: of each part its last run. */
export const resultsSchema = z.partialRecord(z.enum(partNames), partResult);
export type Results = z.infer<typeof resultsSchema>;

/** Undefined: there is no goal, or nothing was measured. */
export function isMet({ value, goal }: Figure): boolean | undefined {
  if (value === undefined || goal === undefined) return undefined;
  return "atLeast" in goal ? value >= goal.atLeast : value <= goal.atMost;
}

/** For people: "≥ 2", "≤ 1.05"; empty without a goal. */
export function describeGoal(goal: Goal | undefined): string {
  if (goal === undefined) return "";
  return "atLeast" in goal ? `≥ ${number(goal.atLeast)}` : `≤ ${number(goal.atMost)}`;
}

/** Three significant digits, thousands grouped: 0.0123, 1.23, 12.3, 1,230. */
export function number(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: Math.abs(value) >= 1000 ? 4 : 3 });
}
