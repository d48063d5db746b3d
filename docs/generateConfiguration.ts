/** Writes docs/configuration.md from Pulumi.yaml: `npm run docs`. A unit test says when that was forgotten. */
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { parse } from "yaml";
import { z } from "zod";

const project = z.object({
  config: z.record(z.string(), z.object({ description: z.string(), default: z.unknown() })),
});

/** The reference as Markdown: a row for each setting, in Pulumi.yaml's order. */
export function configurationReference(pulumiYaml: string): string {
  const { config } = project.parse(parse(pulumiYaml));
  const rows = Object.entries(config).map(([key, { description, default: value }]) => {
    return `| \`${key}\` | ${showDefault(value)} | ${description.replaceAll("|", "\\|")} |`;
  });
  return `# Settings

<!-- Written by \`npm run docs\` from Pulumi.yaml. -->

Set one with \`npm run pulumi -- config set KEY VALUE --stack dev\`, a secret with \`… config set --secret KEY\`, or write it as
\`bitnet-server:KEY\` into \`Pulumi.<stack>.yaml\`. All mistakes are told together, before anything is built.

| key | default | meaning |
| --- | --- | --- |
${rows.join("\n")}
`;
}

function showDefault(value: unknown): string {
  return value === "" ? "not set" : `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const checkout = new URL("..", import.meta.url);
  const text = configurationReference(readFileSync(new URL("Pulumi.yaml", checkout), "utf8"));
  writeFileSync(new URL("docs/configuration.md", checkout), text);
}
