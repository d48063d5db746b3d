/** What a GGUF file says of a model besides its tensors. */
import type { Shape } from "./answerProgram.ts";
import type { Value } from "./gguf.ts";
import { ALIGNMENT } from "./gguf.ts";

export interface ModelFacts {
  architecture: string;
  name: string;
  shape: Shape;
  /** In tokens. */
  contextLength: number;
  ropeBase: number;
  /** The vocabulary, as GPT-2's tokenizer spells it; {@link SPECIAL_TOKENS} are its last ones. */
  tokens: readonly string[];
  /** Each two parts of a token, with a space between them; at least one. */
  merges: readonly string[];
}

export const SPECIAL_TOKENS = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"];
const CHAT_TEMPLATE =
  "{% for m in messages %}{{ m['role'] | capitalize }}: {{ m['content'] | trim }}<|eot_id|>{% endfor %}" +
  "{% if add_generation_prompt %}Assistant: {% endif %}";

export function modelMetadata(facts: ModelFacts): Record<string, Value> {
  const { architecture, shape, tokens } = facts;
  const control = tokens.length - SPECIAL_TOKENS.length;
  return {
    "general.architecture": { text: architecture },
    "general.name": { text: facts.name },
    // MOSTLY_I2_S in Microsoft's fork of llama.cpp.
    "general.file_type": { uint32: 40 },
    "general.alignment": { uint32: ALIGNMENT },
    [`${architecture}.vocab_size`]: { uint32: shape.vocabulary },
    [`${architecture}.context_length`]: { uint32: facts.contextLength },
    [`${architecture}.embedding_length`]: { uint32: shape.width },
    [`${architecture}.block_count`]: { uint32: shape.layers },
    [`${architecture}.feed_forward_length`]: { uint32: shape.feedForward },
    [`${architecture}.rope.dimension_count`]: { uint32: shape.width / shape.heads },
    [`${architecture}.attention.head_count`]: { uint32: shape.heads },
    [`${architecture}.attention.head_count_kv`]: { uint32: shape.kvHeads },
    [`${architecture}.attention.layer_norm_rms_epsilon`]: { float32: 1e-5 },
    [`${architecture}.rope.freq_base`]: { float32: facts.ropeBase },
    "tokenizer.ggml.model": { text: "gpt2" },
    "tokenizer.ggml.pre": { text: "llama-bpe" },
    "tokenizer.ggml.tokens": { texts: [...tokens] },
    // 1 is an ordinary token, 3 a control token.
    "tokenizer.ggml.token_type": { int32s: tokens.map((_, token) => (token < control ? 1 : 3)) },
    "tokenizer.ggml.merges": { texts: [...facts.merges] },
    "tokenizer.ggml.bos_token_id": { uint32: shape.vocabulary - 3 },
    "tokenizer.ggml.eos_token_id": { uint32: shape.vocabulary - 1 },
    "tokenizer.ggml.add_bos_token": { bool: true },
    "tokenizer.chat_template": { text: CHAT_TEMPLATE },
  };
}
