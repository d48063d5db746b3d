/** Writes docs/troubleshooting.md from the messages in the source: `npm run docs`. A unit test holds it complete. */
import { writeFileSync } from "node:fs";
import type { Message } from "./messages/collect.ts";
import { collectMessages } from "./messages/collect.ts";
import { cures } from "./messages/cures.ts";

const sections: readonly (readonly [folder: string, title: string])[] = [
  ["components/settings/", "Settings"],
  ["components/model/", "The model"],
  ["components/image/", "The engine's source"],
  ["components/docker/", "This machine"],
  ["components/aws/", "The AWS account"],
  ["cli/requirements/", "What must be installed"],
  ["cli/", "Commands"],
  ["commands/", "Updates: replicas, gateways, smoke test, rollout"],
  ["gateway/", "Answers of the API"],
];

/** The page as Markdown. @throws Error if a message lacks a cure, or a cure its message */
export function troubleshooting(): string {
  const messages = collectMessages();
  checkCures(messages);
  const body = sections.map(([folder, title], index) => {
    const earlier = sections.slice(0, index).map(([name]) => name);
    const own = messages.filter(
      ({ file }) => file.startsWith(folder) && !earlier.some((name) => file.startsWith(name)),
    );
    return `## ${title}\n\n${table(own)}`;
  });
  return `# Troubleshooting

<!-- Written by \`npm run docs\` from the messages in the source and docs/messages/cures.ts. -->

\`npm run doctor\` finds what is missing on this machine. An error message names the setting or program, what is wrong, and what
would be right. When a setting is refused, nothing has been built or changed.

This page lists the messages of the TypeScript code; \`npm run logs\` shows those of the scripts in the images. "…" stands for
what varies. For values of the wrong kind ("not a whole number", "not one of the possible values") see
[configuration.md](configuration.md). A stack trace is a bug: please report it.

${known}

${body.join("\n\n")}
`;
}

const known = `## Pulumi's and Docker's own

| message | what helps |
| --- | --- |
| another command is working on it (or was killed while it did) | wait; if none is running any more, run \`npm run pulumi -- cancel --yes --stack NAME\` |
| no stack has this name | \`npm run up -- --stack NAME\` creates it; \`npm run pulumi -- stack ls\` lists the existing ones |
| it does not open the stack's secrets | set \`PULUMI_CONFIG_PASSPHRASE\` to the passphrase with which the stack was created; see [pulumi.md](pulumi.md) |
| disk of the Docker Engine: it is full | \`docker system df\` shows what takes up the space; \`docker builder prune\` frees the build cache |
| the last command was killed while it worked on these resources | \`npm run pulumi -- refresh --stack NAME\` asks about each of them |
| warning: … | Pulumi's own warnings; the update goes on |
| npm ci failed; its message is above | most often the network, or a full disk, is the cause |
| bitnet-server cannot run inside node_modules | run it in a clone of the repository, or in the unpacked package |`;

function table(messages: readonly Message[]): string {
  const rows = messages.map(({ wrong, right }) => `| ${cell(wrong)} | ${cell(right ?? cures[wrong] ?? "")} |`);
  return ["| message | what helps |", "| --- | --- |", ...new Set(rows)].join("\n");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("<", "&lt;");
}

function checkCures(messages: readonly Message[]): void {
  const without = new Set(messages.filter(({ right }) => right === undefined).map(({ wrong }) => wrong));
  const lacking = [...without].filter((wrong) => !(wrong in cures));
  const gone = Object.keys(cures).filter((wrong) => !without.has(wrong));
  if (lacking.length + gone.length > 0)
    throw new Error(
      `docs/messages/cures.ts lacks ${JSON.stringify(lacking)}, and has for nothing ${JSON.stringify(gone)}`,
    );
}

if (import.meta.main) writeFileSync(new URL("troubleshooting.md", import.meta.url), troubleshooting());
