import { join } from "node:path";
import { writeBundle } from "../gateway/bundle.ts";

const sources = join(import.meta.dirname, "src");

/** docker/monitoring: the image's whole build context. */
const monitoringContext = join(import.meta.dirname, "../docker/monitoring");

/** Writes dashboard/src with all that it imports into a script and a style sheet, which index.html there loads. */
export async function bundleDashboard(folder = monitoringContext): Promise<void> {
  await writeBundle(folder, {
    entryPoints: [
      { in: join(sources, "main.ts"), out: "dashboard" },
      { in: join(sources, "style.css"), out: "dashboard" },
    ],
    // What Chrome, Firefox and Safari have had since 2024.
    target: ["chrome123", "firefox120", "safari17.5"],
    format: "esm",
    minify: true,
  });
}

if (import.meta.main) await bundleDashboard();
