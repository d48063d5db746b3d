/**
 * Grammars in llama.cpp's GBNF that an engine survives. It expands a grammar with recursive functions and keeps every way
 * that an answer may go on, so a few characters can take all its memory, its stack or minutes of a CPU, and with them the
 * answers of everybody else. What is refused here has done so (`grammar-…` and `nested-grammar` in requests.jsonl).
 */
const most = {
  characters: 16_384,
  /** Parentheses inside parentheses. */
  nesting: 16,
  /** `{m,n}`: the engine writes the repeated part out. */
  repetitions: 500,
  /** Ways to go on at any point of an answer: the engine tries each of them with each token. */
  choices: 256,
};

type Node =
  | { kind: "text"; empty: boolean }
  | { kind: "rule"; name: string }
  | { kind: "choice"; of: Node[] }
  | { kind: "sequence"; of: Node[] }
  | { kind: "repeat"; of: Node; min: number; max: number };

class GrammarError extends Error {}

/** @returns what is wrong with a grammar, or undefined */
export function grammarProblem(text: string): string | undefined {
  if (text.length > most.characters) return `a grammar may have up to ${most.characters} characters`;
  try {
    check(new Parser(text).rules());
    return undefined;
  } catch (error) {
    if (error instanceof GrammarError) return error.message;
    throw error;
  }
}

const token =
  /[ \t]*(?:#[^\r\n]*)?(?:(?<newline>\r?\n)|(?<define>::=)|(?<text>"(?:[^"\\\r\n]|\\.)*")|(?<set>\[(?:[^\]\\\r\n]|\\.)+\]|\.)|(?<name>[A-Za-z][A-Za-z0-9-]*)|(?<times>[*+?]|\{\d{1,9}(?:,\d{0,9})?\})|(?<mark>[()|])|(?<end>$))/y;

/** Reads what llama.cpp reads, but for the rare forms that it would be laxer with. */
class Parser {
  private readonly tokens: { kind: string; text: string }[] = [];
  private at = 0;

  constructor(text: string) {
    token.lastIndex = 0;
    while (this.tokens.at(-1)?.kind !== "end") {
      const groups: Record<string, string | undefined> = token.exec(text)?.groups ?? {};
      const [kind, found] = Object.entries(groups).find(([, part]) => part !== undefined) ?? [];
      if (kind === undefined) throw new GrammarError("not a grammar in llama.cpp's GBNF");
      this.tokens.push({ kind, text: found ?? "" });
    }
  }

  rules(): Map<string, Node> {
    const rules = new Map<string, Node>();
    this.skipNewlines();
    while (this.kind() !== "end") {
      const name = this.expect("name");
      this.expect("define");
      this.skipNewlines();
      if (rules.has(name)) throw new GrammarError(`the rule ${name} is defined twice`);
      rules.set(name, this.choice(0));
      if (this.kind() !== "end") this.expect("newline");
      this.skipNewlines();
    }
    return rules;
  }

  private choice(depth: number): Node {
    if (depth > most.nesting) throw new GrammarError(`a grammar may be nested up to ${most.nesting} deep`);
    const of = [this.sequence(depth)];
    while (this.isMark("|")) {
      this.at++;
      this.skipNewlines();
      of.push(this.sequence(depth));
    }
    return { kind: "choice", of };
  }

  private sequence(depth: number): Node {
    const of: Node[] = [];
    for (;;) {
      if (depth > 0) this.skipNewlines();
      const element = this.element(depth);
      if (element === undefined) return { kind: "sequence", of };
      of.push(this.repeated(element));
    }
  }

  private element(depth: number): Node | undefined {
    if (this.isMark("(")) {
      this.at++;
      const inner = this.choice(depth + 1);
      if (!this.isMark(")")) throw new GrammarError("a parenthesis is not closed");
      this.at++;
      return inner;
    }
    const { kind, text } = this.tokens[this.at] ?? { kind: "end", text: "" };
    if (kind !== "text" && kind !== "set" && kind !== "name") return undefined;
    this.at++;
    return kind === "name" ? { kind: "rule", name: text } : { kind: "text", empty: text === '""' };
  }

  private repeated(element: Node): Node {
    if (this.kind() !== "times") return element;
    const [min, max] = bounds(this.expect("times"));
    return this.repeated({ kind: "repeat", of: element, min, max });
  }

  private kind(): string {
    return this.tokens[this.at]?.kind ?? "end";
  }

  private isMark(mark: string): boolean {
    return this.kind() === "mark" && this.tokens[this.at]?.text === mark;
  }

  private skipNewlines(): void {
    while (this.kind() === "newline") this.at++;
  }

  private expect(kind: string): string {
    if (this.kind() !== kind) throw new GrammarError(`not a grammar in llama.cpp's GBNF: a ${kind} is missing`);
    return this.tokens[this.at++]?.text ?? "";
  }
}

function bounds(times: string): [number, number] {
  const simple = { "*": [0, Infinity], "+": [1, Infinity], "?": [0, 1] } as const;
  if (times === "*" || times === "+" || times === "?") return [...simple[times]];
  const [from = "", to] = times.slice(1, -1).split(",");
  const min = Number(from);
  return [min, to === undefined ? min : to === "" ? Infinity : Number(to)];
}

function check(rules: ReadonlyMap<string, Node>): void {
  if (!rules.has("root")) throw new GrammarError("a grammar needs a rule with the name root");
  const nodes = [...rules.values()].flatMap(parts);
  for (const node of nodes) {
    if (node.kind === "rule" && !rules.has(node.name)) throw new GrammarError(`there is no rule ${node.name}`);
  }
  const repetitions = nodes.flatMap((node) => (node.kind === "repeat" && node.max > 1 ? [node.min, node.max] : []));
  if (sum(repetitions.filter(Number.isFinite)) > most.repetitions) {
    throw new GrammarError(`a grammar may repeat up to ${most.repetitions} times in all`);
  }
  const isEmpty = emptyRules(rules);
  for (const node of nodes) {
    if (node.kind === "repeat" && node.max > 1 && mayBeEmpty(node.of, isEmpty)) {
      throw new GrammarError("what is repeated must not be empty");
    }
  }
  checkChoices(rules, isEmpty);
}

/** A node and all those in it. */
function parts(node: Node): Node[] {
  if (node.kind === "choice" || node.kind === "sequence") return [node, ...node.of.flatMap(parts)];
  return node.kind === "repeat" ? [node, ...parts(node.of)] : [node];
}

/** The rules that need not write anything. */
function emptyRules(rules: ReadonlyMap<string, Node>): ReadonlySet<string> {
  const empty = new Set<string>();
  for (let before = -1; before !== empty.size;) {
    before = empty.size;
    for (const [name, node] of rules) if (mayBeEmpty(node, empty)) empty.add(name);
  }
  return empty;
}

function mayBeEmpty(node: Node, empty: ReadonlySet<string>): boolean {
  switch (node.kind) {
    case "text":
      return node.empty;
    case "rule":
      return empty.has(node.name);
    case "choice":
      return node.of.some((part) => mayBeEmpty(part, empty));
    case "sequence":
      return node.of.every((part) => mayBeEmpty(part, empty));
    case "repeat":
      return node.min === 0 || mayBeEmpty(node.of, empty);
  }
}

/** Counts the ways to go on at each point, and finds rules that begin with themselves, which the engine follows for ever. */
function checkChoices(rules: ReadonlyMap<string, Node>, empty: ReadonlySet<string>): void {
  const waysIntoRule = new Map<string, number>();
  const open = new Set<string>();
  const enterRule = (name: string): number => {
    const known = waysIntoRule.get(name);
    if (known !== undefined) return known;
    if (open.has(name)) throw new GrammarError(`the rule ${name} begins with itself`);
    open.add(name);
    const ways = enter(rules.get(name) ?? { kind: "text", empty: true });
    open.delete(name);
    waysIntoRule.set(name, ways);
    return ways;
  };
  const enter = (node: Node): number => {
    switch (node.kind) {
      case "text":
        return 1;
      case "rule":
        return enterRule(node.name);
      case "choice":
        return sum(node.of.map(enter));
      case "repeat":
        return enter(node.of) + 1;
      case "sequence": {
        const solid = node.of.findIndex((part) => !mayBeEmpty(part, empty));
        return sum(node.of.slice(0, solid === -1 ? undefined : solid + 1).map(enter));
      }
    }
  };
  for (const name of rules.keys()) enterRule(name);
  for (const node of [...rules.values()].flatMap(parts)) {
    if (mostWays(node, enter, empty) > most.choices) {
      throw new GrammarError(`a grammar may have up to ${most.choices} ways to go on at a time`);
    }
  }
}

/** The ways to go on from a node's beginning, or from between any two parts of a sequence. */
function mostWays(node: Node, enter: (node: Node) => number, empty: ReadonlySet<string>): number {
  if (node.kind !== "sequence") return enter(node);
  let fromHere = 0;
  let largest = 0;
  for (const part of node.of.toReversed()) {
    fromHere = enter(part) + (mayBeEmpty(part, empty) ? fromHere : 0);
    largest = Math.max(largest, fromHere);
  }
  return largest;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
