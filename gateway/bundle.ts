import { join } from "node:path";
import { build } from "esbuild";

const sources = join(import.meta.dirname, "src");

/** docker/gateway: the image's whole build context. */
export const gatewayContext = join(import.meta.dirname, "../docker/gateway");

/**
 * Writes gateway/src with all that it imports into two files, for Debian's Node. The same sources give the same bytes.
 * @param folder where to
 */
export async function bundleGateway(folder = gatewayContext): Promise<void> {
  await build({
    entryPoints: { gateway: join(sources, "main.ts"), healthCheck: join(sources, "healthCheck.ts") },
    outdir: folder,
    outExtension: { ".js": ".cjs" },
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    logLevel: "warning",
  });
}

if (import.meta.main) await bundleGateway();
