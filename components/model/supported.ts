/** Which models an engine runs, according to their headers. docker/server/build/check-gguf.pl has the same rules. */
import type { Refuse } from "./byteSource.ts";
import type { Engine, TernaryType } from "./engines.ts";
import { ENGINES, TERNARY_TYPES, UNSUPPORTED_TYPES } from "./engines.ts";
import type { ModelFacts, Tensor } from "./inspect.ts";

const SUPPORTED = TERNARY_TYPES.filter((type) => UNSUPPORTED_TYPES[type] === undefined).join(", ");

/** In a BitNet model, all linear layers are ternary; embeddings and norms are not. */
export function ternaryTypeOf(tensors: readonly Tensor[], refuse: Refuse): TernaryType {
  const linear = tensors.filter(({ name }) =>
    /^blk\.\d+\.(attn_(q|k|v|qkv|output)|ffn_(gate|up|down))\.weight$/.test(name),
  );
  const counts = Object.entries(Object.groupBy(linear, ({ type }) => type)).map(
    ([type, them]) => [type, them?.length] as const,
  );
  const known = TERNARY_TYPES.filter((type) => counts.some(([found]) => found === type));
  for (const type of known) {
    const reason = UNSUPPORTED_TYPES[type];
    if (reason !== undefined) throw refuse(`its weights are ${type}: ${reason}`, `weights of the types ${SUPPORTED}`);
  }
  const [ternary] = known;
  if (ternary === undefined || counts.length > 1) {
    const found = counts.map(([type, count]) => `${type} (${count ?? 0})`).join(", ") || "none";
    const right = `a BitNet (1-bit) model, whose linear layers are all of one of the types ${SUPPORTED}`;
    throw refuse(`it is not a BitNet model: the types of its linear layers are ${found}`, right);
  }
  return ternary;
}

/** Only in Q1_0 are there published models whose embedding has the same type as their linear layers. */
export function checkVocabulary({ ternaryType, tensors }: ModelFacts, refuse: Refuse): void {
  const odd = tensors.find(
    ({ name, type }) =>
      /^(token_embd|output)\.weight$/.test(name) &&
      TERNARY_TYPES.some((ternary) => ternary === type) &&
      (type !== "Q1_0" || ternaryType !== "Q1_0"),
  );
  if (odd === undefined) return;
  const wrong = `its ${odd.name} is of the type ${odd.type}, which no engine here looks tokens up in`;
  throw refuse(wrong, "a model whose embedding and output matrix are not ternary");
}

/** Refuses models that the engine has not been shown to compute correctly, and names the engine that has. */
export function checkEngine(
  { architecture, ternaryType }: ModelFacts,
  tokenizer: unknown,
  engine: Engine,
  refuse: Refuse,
): void {
  const engines = Object.keys(ENGINES) as Engine[];
  const { types, unknownTokenizers } = ENGINES[engine];
  const orAnother = (right: string, suits: (other: Engine) => boolean) => {
    const others = engines.filter(suits);
    return others.length === 0 ? right : `${right}, or engine: ${others.join(" or ")}`;
  };
  const accepted = types.get(architecture);
  const takes = (other: Engine) => ENGINES[other].types.get(architecture)?.includes(ternaryType) === true;
  if (accepted === undefined) {
    const right = `a model of one of the architectures ${[...types.keys()].join(", ")}`;
    const wrong = `its architecture is ${architecture}, which the engine ${engine} does not run`;
    throw refuse(wrong, orAnother(right, takes));
  }
  if (typeof tokenizer === "string" && unknownTokenizers.includes(tokenizer)) {
    const right = orAnother("another model", (other) => !ENGINES[other].unknownTokenizers.includes(tokenizer));
    throw refuse(`its tokenizer is ${tokenizer}, which the engine ${engine} does not know`, right);
  }
  if (!accepted.includes(ternaryType)) {
    const wrong = `its weights are ${ternaryType}, which the engine ${engine} was not shown to compute rightly`;
    throw refuse(wrong, orAnother(`a model in ${accepted.join(" or ")}`, takes));
  }
}
