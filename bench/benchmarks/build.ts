import { execa } from "execa";
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { checkout } from "../../cli/paths.ts";
import { writeSyntheticModel } from "../../tools/syntheticModel.ts";
import { buildImage, layersOf } from "../../test/e2e/image/build.ts";
import { TestStack } from "../../test/e2e/support/testStack.ts";
import type { Figure } from "../figures.ts";
import { median } from "../statistics.ts";
import type { BenchContext } from "../context.ts";

/** What a change costs, and how long the commands take that change nothing. */
export async function* build(bench: BenchContext): AsyncGenerator<Figure> {
  yield* changes(bench);
  yield* commands(bench);
  const began = performance.now();
  await bench.progress.run("npm run test:fast", () => execa("npm", ["run", "-s", "test:fast"], { cwd: checkout }));
  yield { what: "npm run test:fast", value: (performance.now() - began) / 1000, unit: "s", goal: { atMost: 30 } };
}

async function* changes(bench: BenchContext): AsyncGenerator<Figure> {
  const before = await bench.serverImage({ engine: "ik_llama.cpp", optimize: true, size: "tiny" });

  const otherModel = join(bench.folder, "other.gguf");
  await writeSyntheticModel(otherModel, { seed: Date.now() % 2 ** 31 });
  const compiled = await changed(bench, { tag: "bench-other-model", files: { model: otherModel } });
  yield {
    what: "steps that compile, after a change of model",
    value: stepsRun(compiled, "/build/build-engine.sh"),
    unit: "steps",
    goal: { atMost: 0 },
  };

  const { path } = await bench.model("tiny");
  // Up to where the model is there and checked: what comes after it is compiling.
  const checked = (context: string) => appendFile(join(context, "Dockerfile"), "\nFROM checked-model\n");
  const fetched = await changed(bench, {
    tag: "bench-other-engine",
    files: { model: path },
    args: { ENGINE: "bitnet.cpp" },
    change: checked,
  });
  yield {
    what: "steps that download a model, after a change of engine",
    value: stepsRun(fetched, "/build/fetch-model.sh"),
    unit: "steps",
    goal: { atMost: 0 },
  };

  const tag = "bench-other-entrypoint";
  await changed(bench, {
    tag,
    files: { model: path },
    change: (context) => appendFile(join(context, "runtime", "entrypoint.sh"), `# ${Date.now()}\n`),
  });
  yield {
    what: "new layers, after a change of the entrypoint",
    value: (await newBytes(before, tag)) / 1e6,
    unit: "MB",
    goal: { atMost: 1 },
    note: "uncompressed; what is pushed is smaller",
  };
}

/** Builds an image once more, and gives what the build said. */
async function changed(bench: BenchContext, options: Parameters<typeof buildImage>[0]): Promise<string> {
  const { tag = "" } = options;
  let output = "";
  const args = { ENGINE: "ik_llama.cpp", OPTIMIZE: "true", ...options.args };
  await bench.image(tag, async () => {
    const built = await buildImage({ ...options, args });
    output = built.output;
    if (!built.succeeded) throw new Error(output);
  });
  return output;
}

/**
 * Steps of a build's plain output whose instruction runs this program, and that did not come from the cache.
 * @throws Error if there is no such step at all: the output is not read rightly, or the Dockerfile has changed
 */
export function stepsRun(output: string, program: string): number {
  const steps = [...output.matchAll(/^(#\d+) \[.*?\] RUN .*$/gm)].filter(([line]) => line.includes(program));
  if (steps.length === 0) throw new Error(`no step of the build runs ${program}`);
  const numbers = new Set(steps.map(([, step]) => step));
  return [...numbers].filter((step) => !new RegExp(`^${step} CACHED$`, "m").test(output)).length;
}

/** The size of the layers that `after` has and `before` has not. */
async function newBytes(before: string, after: string): Promise<number> {
  const [old, now] = [await layersOf(before), await layersOf(after)];
  return now.filter(({ id }) => !old.some((layer) => layer.id === id)).reduce((sum, { bytes }) => sum + bytes, 0);
}

async function* commands(bench: BenchContext): AsyncGenerator<Figure> {
  const { path } = await bench.model("tiny");
  const stack = await TestStack.create({ modelUrl: path });
  try {
    await bench.progress.run("npm run up, the first time", () => stack.up());
    for (const [command, atMost] of [
      ["up", 10],
      ["preview", 5],
    ] as const) {
      const seconds: number[] = [];
      for (let turn = 0; turn < 3; turn++) {
        const began = performance.now();
        const { exitCode, output } = await stack.run(command);
        if (exitCode !== 0) throw new Error(output);
        seconds.push((performance.now() - began) / 1000);
      }
      yield { what: `npm run ${command}, nothing changed`, value: median(seconds), unit: "s", goal: { atMost } };
    }
  } finally {
    await stack.dispose();
  }
}
