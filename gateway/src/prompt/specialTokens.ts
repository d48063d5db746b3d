/**
 * Text that spells one of the model's control tokens must stay text, or a user could end a turn and speak as the system.
 * Both engines read `<|eot_id|>` as the token wherever it stands. So it is cut in two before the template is applied, and
 * the pieces become tokens one by one: neither of them spells anything.
 */

/** A text with places marked where it has to be cut. */
export interface Marked {
  mark: string;
  cut: (text: string) => string;
}

/** Unicode's noncharacters, which no text has a use for. */
const noncharacters = Array.from({ length: 32 }, (_, index) => String.fromCharCode(0xfdd0 + index));

/** What looks like a control token in a template's source. */
const shape = /<\/?[^<>\s'"]{1,64}>|\[\/?[A-Z_]{2,32}\]|>>[A-Z_]{2,32}<</g;

/** The control tokens that a template writes. */
export function tokensInTemplate(template: string): string[] {
  return [...new Set(template.match(shape) ?? [])];
}

export class SpecialTokens {
  private readonly pattern: RegExp | undefined;
  private readonly tokenize: (pieces: readonly string[]) => Promise<readonly number[]>;
  /** Where each one that was met is cut; undefined: the engine does not take it for a token. */
  private readonly cuts = new Map<string, Promise<number | undefined>>();

  /** @param tokenize several pieces, one after the other, as the engine does */
  constructor(tokens: readonly string[], tokenize: (pieces: readonly string[]) => Promise<readonly number[]>) {
    // The longest first: one may begin with another.
    const longestFirst = [...new Set(tokens)].filter((token) => token.length > 1).sort((a, b) => b.length - a.length);
    this.pattern = longestFirst.length === 0 ? undefined : new RegExp(longestFirst.map(escaped).join("|"), "g");
    this.tokenize = tokenize;
  }

  /** How to mark what spells a control token in these texts. */
  async marked(texts: readonly string[]): Promise<Marked> {
    const mark = noncharacters.find((character) => !texts.some((text) => text.includes(character))) ?? "\ufdd0";
    const { pattern } = this;
    if (pattern === undefined) return { mark, cut: (text) => text };
    const found = new Set(texts.flatMap((text) => text.match(pattern) ?? []));
    const places = new Map<string, number | undefined>();
    for (const token of found) places.set(token, await this.placeToCut(token));
    const cutToken = (token: string) => {
      const place = places.get(token);
      return place === undefined ? token : token.slice(0, place) + mark + token.slice(place);
    };
    return { mark, cut: (text) => text.replace(pattern, cutToken) };
  }

  private placeToCut(token: string): Promise<number | undefined> {
    const known = this.cuts.get(token);
    if (known !== undefined) return known;
    const place = this.findPlaceToCut(token).catch((error: unknown) => {
      this.cuts.delete(token);
      throw error;
    });
    this.cuts.set(token, place);
    return place;
  }

  /**
   * Where the two pieces take the fewest tokens: there the tokenizer would have cut plain text as well, and the prompt is
   * as long as it would be with any other word in the token's place.
   */
  private async findPlaceToCut(token: string): Promise<number | undefined> {
    if ((await this.tokenize([token])).length > 1) return undefined;
    let best: { place: number; length: number } | undefined;
    for (let place = 1; place < token.length; place++) {
      const pieces = [token.slice(0, place), token.slice(place)];
      if (!pieces.every((piece) => piece.isWellFormed())) continue;
      const { length } = await this.tokenize(pieces);
      if (best === undefined || length < best.length) best = { place, length };
    }
    return best?.place;
  }
}

/** As a regular expression says it. (RegExp.escape is newer than Debian's Node.) */
function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
}
