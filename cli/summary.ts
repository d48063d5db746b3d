import type { OutputMap } from "@pulumi/pulumi/automation/index.js";

/** The question of the curl line. A generated model answers with its one digit. */
const question = "Name 3 good uses of a small language model.";

/** What tools/syntheticModel.ts makes. */
const testModelNote = `  ${" ".repeat(9)} a test model, generated and not trained: it repeats the one digit of a question, then random words`;

/**
 * What a user wants to know after `up`.
 * @param changes "3 created" or "no change"
 * @param took how long it took, such as "2m10s"
 * @param isTestModel whether the model was generated on this machine; if so, the summary says what it can answer
 */
export function summarize(
  stack: string,
  outputs: OutputMap,
  changes: string,
  took: string,
  isTestModel = false,
): string {
  const names = ["url", "model", "replicas", "image"];
  const dashboard = outputs.dashboardUrl === undefined ? [] : [`  dashboard ${show(outputs, "dashboardUrl")}`];
  const lines = names.flatMap((name) => [
    `  ${name.padEnd(9)} ${show(outputs, name)}`,
    ...(name === "model" && isTestModel ? [testModelNote] : []),
  ]);
  return [
    `stack ${stack} is up: ${changes}, ${took}`,
    ...lines,
    ...dashboard,
    ...nextSteps(stack, outputs),
    "",
    curl(stack, outputs),
  ].join("\n");
}

/** How to chat with the model, and how to remove everything. */
function nextSteps(stack: string, outputs: OutputMap): string[] {
  const page = show(outputs, "url").replace(/v1$/, "");
  return [
    `  chat      ${page} in a browser; here: npm run chat -- --stack ${stack}`,
    `  remove    npm run destroy -- --stack ${stack}`,
  ];
}

/** A request to paste, without the key: the shell reads it from the outputs. */
export function curl(stack: string, outputs: OutputMap): string {
  const key = `-H "Authorization: Bearer $(npm run -s outputs -- apiKey --stack ${stack} --show-secrets)"`;
  const body = JSON.stringify({
    model: show(outputs, "model"),
    messages: [{ role: "user", content: question }],
    max_tokens: 64,
  });
  return [
    `curl -s ${show(outputs, "url")}/chat/completions`,
    "-H 'Content-Type: application/json'",
    ...(outputs.apiKey === undefined ? [] : [key]),
    `-d '${body}'`,
  ].join(" \\\n  ");
}

/** Every output, one a line, or one alone. Secrets are masked unless `showSecrets`. */
export function showOutputs(outputs: OutputMap, showSecrets: boolean): string {
  const width = Math.max(...Object.keys(outputs).map((name) => name.length));
  return Object.keys(outputs)
    .map((name) => `${name.padEnd(width)}  ${show(outputs, name, showSecrets)}`)
    .join("\n");
}

export function show(outputs: OutputMap, name: string, showSecrets = false): string {
  const output = outputs[name];
  if (output === undefined) return "";
  if (output.secret && !showSecrets) return "[secret]";
  return typeof output.value === "string" ? output.value : JSON.stringify(output.value);
}
