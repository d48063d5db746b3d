#!/bin/bash
# Changes the engine's source where that is wrong for us, or takes long to compile for nothing. Each patch has a name and
# says what it is for. One that changes nothing has been lost: on the source that this version was tested with, that
# ends the build; on any other it is a warning, as the fault may be mended there.
# usage: patch-engine.sh FOLDER TESTED     TESTED: true | false     Environment: ENGINE
set -euo pipefail
source=$1 tested=$2

main() {
  case $ENGINE in
  bitnet.cpp) patch_bitnet ;;
  ik_llama.cpp) patch_ik_llama ;;
  esac
  patch_both
}

# Edits the files whose path matches a pattern of find's, with a script for sed -E.
# usage: edit NAME PATTERN SCRIPT
edit() {
  local name=$1 pattern=$2 script=$3 file changed=false
  while IFS= read -r -d '' file; do
    sed -E "$script" "$file" >/tmp/patched
    if ! cmp --silent "$file" /tmp/patched; then
      changed=true
      cat /tmp/patched >"$file" # keeps its mode
    fi
  done < <(find "$source" -type f -path "$pattern" -print0)
  $changed || lost "$name" "$pattern"
}

lost() {
  if $tested; then
    echo "engine: the patch $1 does not apply to $2, and this engine is wrong without it; see $0" >&2
    exit 1
  fi
  echo "warning: engine: the patch $1 does not apply to $2; if this source needs it, the engine is wrong without it" >&2
}

patch_bitnet() {
  local ggml='*/ggml/src/ggml.c' llama='*/src/llama.cpp' bitnet='/tmpl_contains\("BITNET"\)/,/template not supported/'

  # Assigns a pointer to const to one that is not, which clang refuses.
  edit const-y-col '*/src/ggml-bitnet-mad.cpp' 's/^( *)int8_t \* y_col = y /\1const int8_t * y_col = y /'

  # It has the products of a whole batch on the stack, 512 tokens × a thread's rows × 4 bytes, which is more than the 8 MB
  # there are for 2B-4T on one thread, or for a model of 8B on two. On the heap they are, until their scope ends.
  edit products-on-heap "$ggml" \
    '/^static void ggml_compute_forward_mul_mat\($/i static void free_floats(float ** floats) { free(*floats); }'
  edit products-on-heap "$ggml" 's/^( *)float tmp\[(\(src0_end - src0_start\)\*\(ne11 - ne11 % 4\))\];/\1float * tmp __attribute__((cleanup(free_floats))) = malloc(\2 * sizeof(float));/'

  # In place of the placeholder for a chat template that Microsoft's GGUFs have, llama.cpp puts a form of its own, which
  # is not what the models were trained with: only a user's message has an end, and the others run into the next one.
  # The trained form (runtime/engine.sh has it as a template) ends each, and then says "Assistant: ".
  edit trained-template "$llama" "$bitnet"' s/message->content( << .*)?;/trim(message->content) << "<|eot_id|>";/'
  edit trained-template "$llama" "$bitnet"' s/^ {12}\} else \{$/&\n                ss << "Assistant: ";/'
  edit trained-template "$llama" "$bitnet"' s/^ {4}\} else \{$/        if (add_ass) { ss << "Assistant: "; }\n&/'
}

patch_ik_llama() {
  local heads
  # Its flash attention for heads of other sizes than BitNet models have, DeepSeek's and GLM's, takes long to compile.
  # Without it ggml's own computes such heads, and those of every other size. Which of the two does has to be settled at
  # the start: further on a thread that has nothing to do would report that all is done, and its rows would stay empty.
  for heads in 192_128 192_192 320_256 512_512 576_512; do
    edit "no-heads-of-$heads" "*/iqk_fa_$heads.cpp" "/^IQK_FA_CASE\(/,/^\}/c IQK_FA_CASE(iqk_fa_$heads) { return false; }"
  done
  edit other-heads-to-ggml '*/iqk_flash_attn.cpp' '/if \(type_q != 0 \|\| type_mask != 1 .* return false;/a if (Dk != Dv || (Dk != 64 \&\& Dk != 96 \&\& Dk != 128 \&\& Dk != 256)) return false;'

  # Its issue 2451: one request's ignore_eos or logit_bias would stay in force for everybody's later requests.
  edit own-logit-bias '*/server-context.cpp' \
    's|^( *)\{  // apply logit bias$|&\n\1    slot.sparams.logit_bias = default_sparams.logit_bias;|'
}

patch_both() {
  # Many versions of llama-server answer under whatever name the request asked for. Ours is the alias that the entrypoint
  # exports.
  edit answers-under-alias '*/server/*.[ch]*' \
    's/json_value\((body|data|request), *"model", *std::string\((DEFAULT_OAICOMPAT_MODEL)?\)\)/std::string(getenv("MODEL_ALIAS") ?: "bitnet")/'
}

main
