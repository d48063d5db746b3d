/**
 * The value below which that part of the samples lies, between two samples in proportion (R's type 7).
 * @param part from 0 to 1: 0.5 is the median
 * @throws RangeError if there are no samples
 */
export function quantile(samples: readonly number[], part: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const position = (sorted.length - 1) * part;
  const below = sorted[Math.floor(position)];
  const above = sorted[Math.ceil(position)];
  if (below === undefined || above === undefined) throw new RangeError("no samples");
  return below + (above - below) * (position - Math.floor(position));
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

/**
 * The median of what `one` is to `other`, pair by pair: what was measured side by side is compared, so that a machine
 * that is slower for a minute is so for both.
 */
export function medianRatio(one: readonly number[], other: readonly number[]): number {
  return median(one.flatMap((value, index) => (other[index] === undefined ? [] : [value / other[index]])));
}

/** mulberry32: numbers from 0 to 1, the same for the same seed on every machine. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}
