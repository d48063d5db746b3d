import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BuildOptions } from "esbuild";
import { build } from "esbuild";

const sources = join(import.meta.dirname, "src");

/** docker/gateway: the image's whole build context. */
export const gatewayContext = join(import.meta.dirname, "../docker/gateway");

/** Writes gateway/src with all that it imports into two files, for Debian's Node. @param folder where to */
export async function bundleGateway(folder = gatewayContext): Promise<void> {
  await writeBundle(folder, {
    entryPoints: { gateway: join(sources, "main.ts"), healthCheck: join(sources, "healthCheck.ts") },
    outExtension: { ".js": ".cjs" },
    platform: "node",
    target: "node20",
    format: "cjs",
  });
}

/**
 * The same sources give the same bytes, and what is right already stays untouched: another stack's update may be reading it.
 * @param folder an image's build context
 */
export async function writeBundle(folder: string, options: BuildOptions): Promise<void> {
  const { outputFiles } = await build({ ...options, outdir: folder, bundle: true, logLevel: "warning", write: false });
  for (const { path, contents } of outputFiles) {
    if (existsSync(path) && readFileSync(path).equals(contents)) continue;
    const part = `${folder}.${process.pid}.tmp`; // beside it: whatever lies in it, even for a moment, is part of the context
    writeFileSync(part, contents);
    renameSync(part, path);
  }
}

if (import.meta.main) await bundleGateway();
