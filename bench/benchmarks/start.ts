import { writeFile } from "node:fs/promises";
import { execa } from "execa";
import { client } from "../../test/e2e/support/chat.ts";
import { ask } from "../fixtures/load.ts";
import { startServer } from "../fixtures/server.ts";
import type { Figure } from "../figures.ts";
import { median } from "../statistics.ts";
import type { BenchContext } from "../context.ts";
import { Impossible } from "../context.ts";

/** From `docker run` to the first token, with the model's file on the disk only, and with the file in memory. */
export async function* start(bench: BenchContext): AsyncGenerator<Figure> {
  const { size, repetitions } = bench.options;
  const image = await bench.serverImage({ engine: "ik_llama.cpp", optimize: true, size });
  const cores = (await bench.cores()).slice(0, 2);
  const firstToken = async () => {
    const began = performance.now();
    await using server = await startServer(bench, { image, cores });
    await ask(client(`${server.url}/v1`), { messages: [{ role: "user", content: "7" }], answerTokens: 1 });
    return (performance.now() - began) / 1000;
  };

  const warm: number[] = [];
  for (let turn = 0; turn < repetitions; turn++) warm.push(await firstToken());
  yield { what: "start to first token, model in the page cache", value: median(warm), unit: "s" };

  const reads: Read[] = [];
  const cold: number[] = [];
  for (let turn = 0; turn < repetitions; turn++) {
    await forgetFiles();
    reads.push(await readModel(image));
    await forgetFiles();
    cold.push(await firstToken());
  }
  const bytes = reads[0]?.bytes ?? 0;
  const read = median(reads.map(({ seconds }) => seconds));
  yield { what: "reading the model's file from the disk", value: bytes / read / 1e6, unit: "MB/s" };
  yield {
    what: "start to first token, model on the disk only",
    value: median(cold),
    unit: "s",
    goal: { atMost: 1.2 * read + 2 },
    note: `the goal is 1.2 × the ${read.toFixed(2)} s of reading + 2 s`,
  };
}

interface Read {
  bytes: number;
  /** Without the start of the container that reads. */
  seconds: number;
}

async function readModel(image: string): Promise<Read> {
  const script = "stat -c %s /model/model.gguf; dd if=/model/model.gguf of=/dev/null bs=4M";
  const { stdout, stderr } = await execa("docker", ["run", "--rm", "--entrypoint", "sh", image, "-c", script]);
  // dd: "1234 bytes (1.2 kB, 1.2 KiB) copied, 0.5 s, 2.4 kB/s"
  return { bytes: Number(stdout), seconds: Number(/copied, ([\d.e-]+) s/.exec(stderr)?.[1]) };
}

/** Linux drops what it keeps of files in memory. */
async function forgetFiles(): Promise<void> {
  await execa("sync");
  await writeFile("/proc/sys/vm/drop_caches", "3").catch(() => {
    throw new Impossible("only root on Linux can empty the page cache");
  });
}
