import type { Engine } from "./engines.ts";
import type { MemoryNeed } from "./memory.ts";

/** The resources of one replica. */
export interface Room {
  /** Physical cores, or the configured number of threads. */
  cores: number;
  /** Bytes. */
  memory: number;
}

/** Speed of that many ik_llama.cpp answers side by side, compared with one answer (docs/performance.md, "Slots"). */
export const measuredSideBySide = {
  /** With the kernels for several answers, which need AVX-512 VNNI. */
  avx512Vnni: [
    [1, 1],
    [4, 2.51],
    [8, 2.7],
  ],
  /** Without them, on the same CPU. Other CPUs have not been measured. */
  others: [
    [1, 1],
    [4, 1.77],
    [8, 1.96],
  ],
} as const;

/**
 * The combined speed of this many answers side by side, compared with one answer. Values between two measured ones are
 * interpolated linearly. bitnet.cpp's answers gain next to nothing.
 */
export function sideBySide(engine: Engine, answers: number, cpu: keyof typeof measuredSideBySide): number {
  if (engine === "bitnet.cpp") return 1;
  const [one, four, eight] = measuredSideBySide[cpu];
  const [[from, low], [to, high]] = answers <= four[0] ? [one, four] : [four, eight];
  return low + ((Math.min(answers, to) - from) * (high - low)) / (to - from);
}

/**
 * The most slots that are chosen automatically: eight are hardly faster than four, and each slot takes memory for a
 * whole conversation.
 */
export const mostChosenSlots = 4;

/** The settings that matter here, if they are valid. */
export interface SlotSettings {
  parallel?: number | undefined;
  engine?: Engine | undefined;
}

/**
 * How many requests a replica answers at once: the value of `parallel`, or the automatic choice. One, if the engine or
 * the model is unknown because of a mistake, which is reported elsewhere.
 * @param need memory of a replica with that many slots
 */
export function slotsOf(
  { parallel, engine }: SlotSettings,
  room: Room,
  need: ((slots: number) => MemoryNeed) | undefined,
): number {
  return parallel ?? (engine === undefined || need === undefined ? 1 : chooseSlots(engine, room, need));
}

/**
 * How many requests a replica answers at once if `parallel` is not set. With one core each, four slots answer about
 * as many requests as one, and each token comes later. bitnet.cpp's slots only move the waiting from before the
 * first token to between the tokens (docs/performance.md, "Slots").
 * @param need memory of a replica with that many slots
 */
export function chooseSlots(engine: Engine, { cores, memory }: Room, need: (slots: number) => MemoryNeed): number {
  if (engine === "bitnet.cpp" || cores < 2) return 1;
  let slots = mostChosenSlots;
  while (slots > 1 && need(slots).total > memory) slots--;
  return slots;
}
