import type { Problem } from "../../components/errors.ts";

/** One thing that `up` needs, and whether this machine has it. */
export interface Finding {
  readonly what: string;
  /** `note`: `up` installs it by itself, or works without it. */
  readonly state: "ok" | "note" | "missing";
  /** What is there, or what is wrong. */
  readonly found: string;
  /** The command that installs it. */
  readonly right?: string;
}

export function ok(what: string, found: string): Finding {
  return { what, state: "ok", found };
}

export function note(what: string, found: string, right: string): Finding {
  return { what, state: "note", found, right };
}

export function missing({ key, value, wrong, right }: Problem): Finding {
  const what = value === undefined ? key : `${key}: ${JSON.stringify(value)}`;
  return { what, state: "missing", found: wrong, right };
}

const marks = { ok: "✓", note: "·", missing: "✗" } as const;

/** For people: a line for each finding, and below it what helps. */
export function describeFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.filter(({ state }) => state !== "missing").map(({ what }) => what.length));
  const lines = findings.map(({ what, state, found, right }) => {
    const help = right === undefined ? "" : `\n    ${right}`;
    return `${marks[state]} ${what.padEnd(width)}  ${found}${help}`;
  });
  const count = findings.filter(({ state }) => state === "missing").length;
  const summary =
    count === 0
      ? "Nothing is missing for npm run up."
      : `${count === 1 ? "1 thing is" : `${count} things are`} missing or wrong, marked ✗, each with what helps.`;
  return [...lines, "", summary].join("\n");
}
