import type { Outputs } from "./testStack.ts";

/** A metric of what statsPort serves at these paths, summed over paths and labels. @param paths "gateway-1", "llama-2", … */
export async function metric({ statsUrl }: Outputs, paths: readonly string[], name: string): Promise<number> {
  const pages = paths.map(async (path) => (await fetch(`${statsUrl}${path}/metrics`)).text());
  const text = (await Promise.all(pages)).join("\n");
  const values = [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\d+)$`, "gm"))];
  if (values.length === 0) throw new Error(`no ${name} in: ${text.slice(0, 500)}`);
  return values.reduce((sum, [, value]) => sum + Number(value), 0);
}
