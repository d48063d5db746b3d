import type { Engine } from "./engines.ts";
import type { MemoryNeed } from "./memory.ts";

/** What one replica has for its requests. */
export interface Room {
  /** Physical cores, or the threads that it is told to use. */
  cores: number;
  /** Bytes. */
  memory: number;
}

/** How many times as fast as one answer so many of ik_llama.cpp's come side by side (docs/performance.md, "Slots"). */
export const measuredSideBySide = [
  [1, 1],
  [4, 1.77],
  [8, 1.96],
] as const;

/**
 * How many times as fast as one answer so many are written side by side, all together: on a straight line between two that
 * were measured. bitnet.cpp's gain next to nothing.
 */
export function sideBySide(engine: Engine, answers: number): number {
  if (engine === "bitnet.cpp") return 1;
  const [one, four, eight] = measuredSideBySide;
  const [[from, low], [to, high]] = answers <= four[0] ? [one, four] : [four, eight];
  return low + ((Math.min(answers, to) - from) * (high - low)) / (to - from);
}

/**
 * The most slots that are chosen by themselves: eight are hardly faster than four, and each slot takes memory for a whole
 * conversation.
 */
export const mostChosenSlots = 4;

/** The settings that decide, those that are right. */
export interface SlotSettings {
  parallel?: number | undefined;
  engine?: Engine | undefined;
}

/**
 * How many requests a replica answers at once: what `parallel` says, or what is chosen. One, where a mistake keeps the
 * engine or the model from being known; it is reported elsewhere.
 * @param need memory of a replica with so many slots
 */
export function slotsOf(
  { parallel, engine }: SlotSettings,
  room: Room,
  need: ((slots: number) => MemoryNeed) | undefined,
): number {
  return parallel ?? (engine === undefined || need === undefined ? 1 : chooseSlots(engine, room, need));
}

/**
 * How many requests a replica answers at once where `parallel` is not set. With one core, two replicas with four slots
 * each answered a third fewer requests than with one; bitnet.cpp's slots only move the waiting from before the first
 * token to between the tokens (docs/performance.md, "Slots").
 * @param need memory of a replica with so many slots
 */
export function chooseSlots(engine: Engine, { cores, memory }: Room, need: (slots: number) => MemoryNeed): number {
  if (engine === "bitnet.cpp" || cores < 2) return 1;
  let slots = mostChosenSlots;
  while (slots > 1 && need(slots).total > memory) slots--;
  return slots;
}
