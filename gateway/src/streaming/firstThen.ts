/**
 * Waits for a source's first item. If that fails, it throws here, where the response can still have an error status.
 * @returns all of its items
 */
export async function firstThen<T>(source: AsyncGenerator<T, void>): Promise<AsyncGenerator<T, void>> {
  const first = await source.next();
  return (async function* () {
    try {
      if (first.done === true) return;
      yield first.value;
      yield* source;
    } finally {
      await source.return();
    }
  })();
}
