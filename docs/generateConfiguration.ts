/** Writes docs/configuration.md from components/settings: `npm run docs`. A unit test says when that was forgotten. */
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import type { z } from "zod";
import { settingGroups } from "../components/settings/schema.ts";
import { describeSetting } from "../components/settings/types.ts";

/** A whole Pulumi.<stack>.yaml for each target. */
export const examples = {
  docker: `config:
  bitnet-server:target: docker
  bitnet-server:model: Falcon3-3B-Instruct-1.58bit
  bitnet-server:replicas: 4
  bitnet-server:port: 9000
`,
  aws: `config:
  aws:region: eu-central-1
  bitnet-server:target: aws
  bitnet-server:domain: llm.example.com
  bitnet-server:minReplicas: 2
  bitnet-server:maxReplicas: 10
  bitnet-server:allowedCidrs: ["203.0.113.0/24"]
`,
} as const;

/** The reference as Markdown: a table of what every target has, and one for each target, in the schema's order. */
export function configurationReference(): string {
  return `# Settings

<!-- Written by \`npm run docs\` from components/settings. -->

Set one with \`npm run pulumi -- config set KEY VALUE --stack dev\`, a secret with \`… config set --secret KEY\`, or write it as
\`bitnet-server:KEY\` into \`Pulumi.<stack>.yaml\`. Write a list as \`["A", "B"]\`. An empty value counts as
unset. \`pulumi config\` shows only what the stack sets; everything else has its default.

Before anything is built or changed, the program checks the settings, the engine's source, the model, and the machine or the AWS
account. It reports all mistakes together, unless one hides another.

## Settings of both targets

${table(settingGroups.shared)}

## Settings of target docker

${table(settingGroups.docker)}

An example, \`Pulumi.dev.yaml\`:

\`\`\`yaml
${examples.docker}\`\`\`

## Settings of target aws

${table(settingGroups.aws)}

An example, \`Pulumi.prod.yaml\`:

\`\`\`yaml
${examples.aws}\`\`\`
`;
}

function table(settings: Readonly<Record<string, z.ZodType>>): string {
  const rows = Object.entries(settings).map(([key, type]) => {
    const { meaning, secret, right, byDefault } = describeSetting(type);
    const cells = [`\`${key}\``, showDefault(byDefault), right, `${secret ? "Secret. " : ""}${meaning}`];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  });
  return ["| key | default | values | meaning |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

function showDefault(value: unknown): string {
  return value === undefined ? "unset" : `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  writeFileSync(new URL("configuration.md", import.meta.url), configurationReference());
}
