/** Writes docs/commands.md from cli/program.ts: `npm run docs`. A unit test says when that was forgotten. */
import { writeFileSync } from "node:fs";
import type { Command } from "commander";
import { createProgram } from "../cli/program.ts";
import { Progress } from "../cli/progress.ts";

/** The commands that a user gives; the others are the shells'. */
export function commandsOf(program: Command): readonly Command[] {
  return program.commands.filter((command) => !["complete", "completion"].includes(command.name()));
}

/** The reference as Markdown: a section for each command. */
export function commandReference(): string {
  const program = createProgram({
    progress: new Progress({ write: () => true }),
    signal: new AbortController().signal,
  });
  return `# Commands

<!-- Written by \`npm run docs\` from cli/program.ts. -->

In a checkout, \`npm run COMMAND -- OPTIONS\` and \`npx bitnet-server COMMAND OPTIONS\` are the same. \`--help\` after a
command explains it. Data goes to standard output, everything else to standard error: \`npx bitnet-server outputs --json | jq\`.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | something failed or is wrong; the message says what, and what helps ([troubleshooting](troubleshooting.md)). \`doctor\`: something is missing |
| 130 | cancelled by Ctrl-C or a signal |
| any other | that of the program that was run: Pulumi's of \`pulumi\`, vitest's of \`test\` |

The commands themselves print no colours. \`--no-color\`, or the variable \`NO_COLOR\`, turns them off in programs that they run, such as vitest.

To complete commands, options, stacks and settings, put \`bitnet-server\` on PATH (\`npm link\` in the checkout), and add to \`~/.bashrc\`, after
the package bash-completion, or to \`~/.zshrc\`, after \`compinit\`:

\`\`\`sh
source <(bitnet-server completion bash)   # or: zsh
\`\`\`

\`npm pack\` packs what the commands need; unpack it and run them there. They do not run inside \`node_modules\`.

${commandsOf(program).map(section).join("\n\n")}
`;
}

function section(command: Command): string {
  const words = command.registeredArguments.map((argument) => ` [${argument.name()}${argument.variadic ? "…" : ""}]`);
  const options = command.options
    .filter(({ long }) => long !== "--no-color")
    .map(({ flags, description }) => `| \`${flags}\` | ${description.replaceAll("|", "\\|")} |`);
  const table = options.length === 0 ? "" : `\n| option | meaning |\n| --- | --- |\n${options.join("\n")}\n`;
  return `## ${command.name()}

\`bitnet-server ${command.name()}${words.join("")}\`: ${command.description()}.
${table}
\`\`\`sh
${examplesOf(command).join("\n")}
\`\`\``;
}

/** The examples of a command's help. */
export function examplesOf(command: Command): string[] {
  let help = "";
  command.configureOutput({ writeOut: (text) => (help += text) });
  command.outputHelp();
  return [...help.matchAll(/^ {2}(npx bitnet-server .*)$/gm)].map(([, example = ""]) => example);
}

if (import.meta.main) writeFileSync(new URL("commands.md", import.meta.url), commandReference());
