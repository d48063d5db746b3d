export interface Indexed<T> {
  /** Which of the sources it came from. */
  index: number;
  value: T;
}

/** The items of several sources, in order of arrival. If one source fails, the merged one fails. */
export async function* merge<T>(sources: readonly AsyncGenerator<T, void>[]): AsyncGenerator<Indexed<T>, void> {
  const step = async (source: AsyncGenerator<T, void>, index: number) => ({ index, result: await source.next() });
  const pending = new Map(sources.map((source, index) => [index, step(source, index)]));
  try {
    while (pending.size > 0) {
      const { index, result } = await Promise.race(pending.values());
      const source = sources[index];
      pending.delete(index);
      if (result.done === true || source === undefined) continue;
      pending.set(index, step(source, index));
      yield { index, value: result.value };
    }
  } finally {
    for (const step of pending.values()) step.catch(() => undefined);
    for (const source of sources) source.return().catch(() => undefined);
  }
}
