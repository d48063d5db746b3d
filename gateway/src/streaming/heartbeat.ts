/** Yielded when nothing has come for a while. */
export const heartbeat = Symbol("heartbeat");

/** A source's items, and a heartbeat whenever it yields nothing for the given number of seconds. */
export async function* withHeartbeats<T>(
  source: AsyncGenerator<T, void>,
  seconds: number,
): AsyncGenerator<T | typeof heartbeat, void> {
  let next = source.next();
  try {
    for (;;) {
      const result = await orHeartbeat(next, seconds);
      if (result === heartbeat) {
        yield heartbeat;
        continue;
      }
      if (result.done === true) return;
      yield result.value;
      next = source.next();
    }
  } finally {
    // Whoever stopped listening has ended the source already; what it still says is for nobody.
    next.catch(() => undefined);
    source.return().catch(() => undefined);
  }
}

async function orHeartbeat<T>(promise: Promise<T>, seconds: number): Promise<T | typeof heartbeat> {
  let timer: NodeJS.Timeout | undefined;
  const beat = new Promise<typeof heartbeat>((resolve) => {
    timer = setTimeout(resolve, seconds * 1000, heartbeat);
  });
  try {
    return await Promise.race([promise, beat]);
  } finally {
    clearTimeout(timer);
  }
}
