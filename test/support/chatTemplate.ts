import { readFile, writeFile } from "node:fs/promises";

/** What Microsoft's utils/convert-ms-to-gguf-bitnet.py writes into every model. */
export const placeholderTemplate =
  "{% for message in messages %}{% if loop.first %}{{ bos_token }}{% endif %}{% if message['role'] == 'user' %}" +
  "{{ 'Human: ' + message['content'] + '\\n\\nBITNETAssistant: ' + eos_token }}{% elif message['role'] == 'assistant' %}" +
  "{{ message['content'] + eos_token }}{% endif %}{% endfor %}";

/** In a GGUF a text stands behind its key, the number of its type (32 bits) and its length (64 bits). */
const key = "tokenizer.chat_template";
const textType = 8;
/** Tensors begin at a multiple of this. */
const alignment = 32;

/** Removes from a GGUF file how text is split, by renaming the key to one of the same length that nobody reads. */
export async function hidePreTokenizer(path: string): Promise<void> {
  const file = await readFile(path);
  file.write("tokenizer.ggml.xxx", file.indexOf("tokenizer.ggml.pre"));
  await writeFile(path, file);
}

/** Gives a GGUF file another chat template. */
export async function setChatTemplate(path: string, template: string): Promise<void> {
  const file = await readFile(path);
  const at = file.indexOf(key) + key.length;
  if (at < key.length || file.readUInt32LE(at) !== textType) throw new Error(`${path} has no chat template`);
  const [start, length] = [at + 12, Number(file.readBigUInt64LE(at + 4))];
  // With a comment behind it, so that the tensors stay aligned.
  const padding = (((length - template.length - "{##}".length) % alignment) + alignment) % alignment;
  const text = Buffer.from(`${template}{#${" ".repeat(padding)}#}`);
  const lengthField = Buffer.alloc(8);
  lengthField.writeBigUInt64LE(BigInt(text.length));
  await writeFile(path, Buffer.concat([file.subarray(0, at + 4), lengthField, text, file.subarray(start + length)]));
}
