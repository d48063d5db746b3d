import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { checkout } from "../../cli/paths.ts";

/** A message that the program can print; "…" stands for what differs from time to time. */
export interface Message {
  /** Of the checkout. */
  readonly file: string;
  readonly wrong: string;
  /** What helps, in the message's own words; undefined: it has none. */
  readonly right: string | undefined;
}

/** Where a message is only handed on: its text stands elsewhere, or is another program's. */
const handedOn: ReadonlySet<string> = new Set([
  "wrong",
  "message",
  "error.message",
  "result.wrong",
  "shortage.wrong",
  "wordsOf(error)",
  "words",
  '[failure, ...trouble].join("\\n\\n")',
  "expected ? `\\n${(error as Error).message}` : error",
  "error instanceof ConfigError ? error.message : error",
]);

/** The gateway's answers, by the function or error that makes them, with what helps. */
const answers: ReadonlyMap<string, string> = new Map(
  Object.entries({
    invalidRequest: "status 400: change the request; `param` names the field",
    SchemaError: "status 400: change the JSON schema in `response_format`",
    GrammarError: "status 400: change `grammar`",
    unauthorized: "status 401: send one of the stack's keys",
    forbidden: "status 403: the settings `allowedHosts` and `corsOrigins`",
    notFound: "status 404: docs/api.md lists the endpoints",
    overloaded: "status 429: again after `retry-after` seconds; more replicas, or a higher limit of the key",
    engineFailed: "status 502: the official clients try again; `npm run logs` has the engine's reason",
    unavailable: "status 503: the official clients try again; `npm run status` says which replicas are up",
  }),
);

/** Every message in the program's source, found by the forms in which it is written there. */
export function collectMessages(): Message[] {
  const files = globSync(["components/**/*.ts", "cli/**/*.ts", "commands/*.ts", "gateway/src/**/*.ts"], {
    cwd: checkout,
  }).toSorted();
  return files.flatMap((file) => {
    const text = readFileSync(join(checkout, file), "utf8");
    return messagesOf(ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true));
  });
}

export function messagesOf(source: ts.SourceFile): Message[] {
  const found: Message[] = [];
  const visit = (node: ts.Node) => {
    const [wrong, right] = partsOf(node);
    if (wrong !== undefined) found.push(...toMessages(source, wrong, right));
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** The expressions of a message: `{ wrong, right }`, `refuse(…, wrong, right)`, an error or a line that is printed. */
function partsOf(node: ts.Node): [wrong?: ts.Expression | undefined, right?: ts.Expression | undefined] {
  if (ts.isObjectLiteralExpression(node)) {
    const wrong = propertyOf(node, "wrong");
    return wrong === undefined ? [] : [wrong, propertyOf(node, "right")];
  }
  if (ts.isCallExpression(node)) {
    const called = node.expression.getText();
    if (called === "refuse") return [node.arguments.at(-2), node.arguments.at(-1)];
    if (called === "console.error" || answers.has(called)) return [node.arguments[0]];
  }
  if (!ts.isNewExpression(node)) return [];
  const made = node.expression.getText();
  return made === "OperationFailed" || answers.has(made) ? [node.arguments?.[0]] : [];
}

/** A property's value; of `{ wrong }` the variable. */
function propertyOf(node: ts.ObjectLiteralExpression, name: string): ts.Expression | undefined {
  for (const property of node.properties) {
    if (property.name?.getText() !== name) continue;
    if (ts.isPropertyAssignment(property)) return property.initializer;
    if (ts.isShorthandPropertyAssignment(property)) return property.name;
  }
  return undefined;
}

function toMessages(source: ts.SourceFile, wrong: ts.Expression, right: ts.Expression | undefined): Message[] {
  const texts = render(wrong).map(tidy).filter(hasWords);
  if (texts.length === 0 && !handedOn.has(wrong.getText())) {
    throw new Error(`${source.fileName}: docs/messages/collect.ts cannot read the message ${wrong.getText()}`);
  }
  const rights = right === undefined ? [] : render(right).map(tidy).filter(hasWords);
  const made = wrong.parent as ts.CallExpression | ts.NewExpression;
  const answer = "expression" in made ? answers.get(made.expression.getText()) : undefined;
  return texts.map((text) => ({
    file: source.fileName,
    wrong: text,
    right: answer ?? (rights.join("; or ") || undefined),
  }));
}

/** In one line. */
function tidy(text: string): string {
  return text.trim().replaceAll(/\s+/g, " ");
}

function hasWords(text: string): boolean {
  return /[a-z]/i.test(text);
}

/** All texts that an expression can have. */
function render(node: ts.Expression): string[] {
  if (ts.isStringLiteralLike(node)) return [node.text];
  if (ts.isTemplateExpression(node)) {
    return node.templateSpans.reduce(
      (texts, { expression, literal }) =>
        cross(cross(texts, ts.isBinaryExpression(expression) ? ["…"] : render(expression)), [literal.text]),
      [node.head.text],
    );
  }
  if (ts.isConditionalExpression(node)) return [...render(node.whenTrue), ...render(node.whenFalse)];
  if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.QuestionQuestionToken) {
    return [...render(node.left), ...render(node.right)];
  }
  if (ts.isParenthesizedExpression(node)) return render(node.expression);
  if (ts.isIdentifier(node)) {
    const value = valueOf(node);
    return value === undefined || ts.isBinaryExpression(value) ? ["…"] : render(value);
  }
  return ts.isCallExpression(node) ? renderCall(node) : ["…"];
}

/** `[first, …].join(…)` by its first line, `helper("text", …)` by its text. */
function renderCall({ expression, arguments: [argument] }: ts.CallExpression): string[] {
  if (!ts.isPropertyAccessExpression(expression)) return argument === undefined ? ["…"] : render(argument);
  const list = expression.expression;
  const first = ts.isArrayLiteralExpression(list) ? list.elements[0] : undefined;
  return first === undefined ? ["…"] : render(first);
}

function cross(heads: readonly string[], tails: readonly string[]): string[] {
  return heads.flatMap((head) => tails.map((tail) => head + tail));
}

/** What a constant in reach was given. */
function valueOf(name: ts.Identifier): ts.Expression | undefined {
  for (let scope: ts.Node = name; !ts.isSourceFile(scope); scope = scope.parent) {
    const block = scope.parent;
    if (!ts.isBlock(block) && !ts.isSourceFile(block)) continue;
    for (const statement of block.statements.filter(ts.isVariableStatement)) {
      const found = statement.declarationList.declarations.find((each) => each.name.getText() === name.text);
      if (found?.initializer !== undefined) return found.initializer;
    }
  }
  return undefined;
}
