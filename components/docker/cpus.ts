/** A physical core: the ids of its hardware threads (two with hyperthreading), as Linux and Docker number them. */
export type Core = readonly number[];

/** The CPU ids of cores in the form that Docker's --cpuset-cpus takes: "0,1,4". */
export function cpuSet(cores: readonly Core[]): string {
  return cores.flat().toSorted(ascending).join(",");
}

/**
 * Divides the cores so that no two replicas share one. ggml's threads synchronise hundreds of times per token, and a
 * thread that shares its core makes all the others wait (docs/DESIGN.md). Leftover cores go to the first replicas, one
 * each.
 * @returns each replica's cores
 * @throws RangeError if there are more replicas than cores; the settings are checked against the machine earlier
 */
export function shareCores(cores: readonly Core[], replicas: number): Core[][] {
  if (replicas > cores.length) {
    throw new RangeError(`${replicas} replicas cannot share ${cores.length} cores`);
  }
  const each = Math.floor(cores.length / replicas);
  const extra = cores.length % replicas;
  return Array.from({ length: replicas }, (_, index) => {
    const start = index * each + Math.min(index, extra);
    const end = start + each + (index < extra ? 1 : 0);
    return cores.slice(start, end);
  });
}

/**
 * Groups CPUs into cores, as Linux reports them in /sys/devices/system/cpu/cpu<id>/topology/thread_siblings_list.
 * @param siblings by CPU id, a list such as "0,4" or "0-1"; a CPU without one counts as a core of its own
 */
export function groupIntoCores(cpus: readonly number[], siblings: ReadonlyMap<number, string>): Core[] {
  const cores = new Map<string, number[]>();
  for (const cpu of cpus) {
    const key = siblings.get(cpu) ?? String(cpu);
    cores.set(key, [...(cores.get(key) ?? []), cpu]);
  }
  return [...cores.values()];
}

/**
 * The engine's CPUs. The engine reports only their number: they are all of this machine's, or those allowed by a
 * container that holds both this process and the engine.
 * @param online this machine's CPUs
 * @param allowed the CPUs that this process may run on
 * @returns undefined if neither number matches: the engine has other CPUs, and it is unknown which
 */
export function engineCpus(
  count: number,
  online: readonly number[],
  allowed: readonly number[],
): readonly number[] | undefined {
  const shared = online.filter((cpu) => allowed.includes(cpu));
  return [online, shared].find(({ length }) => length === count);
}

/** Reads a list of CPUs as Linux writes it: "0-3,8". */
export function parseCpuList(list: string): number[] {
  return list
    .trim()
    .split(",")
    .filter((range) => range !== "")
    .flatMap((range) => {
      const [first, last = first] = range.split("-").map(Number);
      if (first === undefined || last === undefined || Number.isNaN(first + last)) {
        throw new TypeError(`not a list of CPUs: ${list}`);
      }
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
}

function ascending(a: number, b: number): number {
  return a - b;
}
