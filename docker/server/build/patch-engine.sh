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

  patch_ik_memory
  patch_ik_slots
  patch_ik_columns

  # Its issue 2451: one request's ignore_eos or logit_bias would stay in force for everybody's later requests.
  edit own-logit-bias '*/server-context.cpp' \
    's|^( *)\{  // apply logit bias$|&\n\1    slot.sparams.logit_bias = default_sparams.logit_bias;|'
}

# What stays allocated for ever.
patch_ik_memory() {
  # With each request a sampler, 0.5 MB with the 128,256 tokens of Llama 3's vocabulary. Its pull request 1851 has mended
  # it, with the function llama_free_adaptive_p.
  if ! grep --quiet --recursive --include=sampling.cpp llama_free_adaptive_p "$source"; then
    edit free-samplers '*/src/llama-sampling.cpp' \
      's/^struct llama_sampler_adaptive_p \* llama_init_adaptive_p_impl\(/void llama_free_adaptive_p(struct llama_sampler_adaptive_p * adapt_p_ctx) { delete adapt_p_ctx; }\n&/'
    edit free-samplers '*/common/sampling.cpp' \
      's/^void common_sampler_free\(struct common_sampler \* ctx\) \{$/void llama_free_adaptive_p(struct llama_sampler_adaptive_p * adapt_p_ctx);\n&\n    llama_free_adaptive_p(ctx->adapt_p_ctx);/'
  fi

  # Most of each answer and of each piece of a stream, as they are deleted without a virtual destructor.
  edit free-answers '*/server-task.h' 's/^struct server_task_result \{$/&\n    virtual ~server_task_result() = default;/'

  # What had come for a client that has left.
  edit free-unread-answers '*/server-queue.cpp' \
    's/^ *waiting_task_ids\.erase\(id_task\);$/&\n    queue_results.erase(std::remove_if(queue_results.begin(), queue_results.end(), [id_task](const server_task_result_ptr \& result) { return result->id == id_task; }), queue_results.end());/'
}

# What goes wrong with several slots. Whoever updates the commit can drop a patch once its fault is mended there: the
# build's self-test fails without the first three.
patch_ik_slots() {
  local attention='*/iqk_fa_templates.h' skip='kh.next_block(k_step); vh.next_block(k_step); mr += k_step*sizeof(ggml_half); continue;'

  # Undoes its pull requests 1430 and 1439: to find the last used cell of the KV cache, they look at every 256th cell
  # only. If that one is free, as it may be where another conversation has ended, used cells above it drop out of
  # attention, and answers are wrong.
  edit every-used-cell '*/src/llama.cpp' 's/llama_kv_cache_cell_max\(kv_self, pad\)/llama_kv_cache_cell_max(kv_self)/'

  # Attention ended where the last row's mask ends, but rows of other conversations may have keys beyond that:
  # GGML_ASSERT(S > 0). Its pull request 1880 has mended it, with the function mask_effective_nk1.
  if ! grep --quiet --recursive --include=iqk_fa_templates.h mask_effective_nk1 "$source"; then
    edit every-rows-keys "$attention" '/auto Mc = .*\(q_step - 1\)\*stride_m\);/,/ik \+= k_step;/c const int ik = nk1;'
  fi

  # A client that leaves while its prompt is read ended the decoding of all, and nobody else got an answer. Without that
  # its own task still ends, after the step at hand. Its pull request 1941 has mended it for clients without a slot only.
  edit others-go-on '*/server/server.cpp' '/^ *(if \(rd(->|\.)any_task_on_slot\(\)\) )?llama_decode_stop\(\);/d'

  # While others generate, a prompt is read in steps of 20 tokens instead of a whole batch, because every token of theirs
  # waits for the step at hand (docs/performance.md, "Slots"). Alone, it is read as before.
  edit short-steps-beside-others '*/server/server-context.cpp' \
    's/^( *)batch_pending_prompt\(n_ubatch, n_batch, batch_type\);/\1batch_pending_prompt(n_ubatch, batch.n_tokens > 0 ? std::min(n_batch, batch.n_tokens + 20) : n_batch, batch_type);/'

  # For speed: keys that the masks hide from all rows at hand, mostly other conversations', need not be multiplied. The
  # first block is, as it clears what the products are added to.
  edit skip-hidden-keys "$attention" 's/^struct BaseHelper \{$/static inline bool all_hidden(const char * mask, int rows, int stride, int n) { for (int j = 0; j < rows; ++j) { auto m = (const uint16_t *)(mask + j*stride); for (int k = 0; k < n; ++k) if (m[k] != 0xfc00) return false; } return true; }\n&/'
  edit skip-hidden-keys "$attention" "s/^ *for \\(int k1 = 0; k1 < (ik|nk1_eff)\\/k_step; \\+\\+k1\\) \\{\$/&\\nif (k1 > 0 \\&\\& all_hidden(mr, q_step, stride_m, k_step)) { $skip }/"
  edit skip-hidden-keys "$attention" "s/^ *for \\(int k1 = 0; k1 < nk1\\/k_step; \\+\\+k1\\) \\{\$/&\\nif (k1 > 0 \\&\\& all_hidden(mr, n_left, stride_m, k_step)) { $skip }/"
}

# For speed with several slots, whose tokens are columns of one product.
patch_ik_columns() {
  # The kernel for several columns reads two groups of rows at a time, which CPUs do not foresee: from memory it took
  # twice as long for two columns as for one. Both groups are fetched two steps of 8 rows ahead.
  edit fetch-ahead '*/iqk_gemm_1bit.cpp' \
    's/^( *)auto bits_h = _mm512_loadu_si512\(\(const __m512i \*\)iq2h \+ ib\);$/&\n\1_mm_prefetch((const char *)iq2l + 64*ib + 16*bx, _MM_HINT_T1);\n\1_mm_prefetch((const char *)iq2h + 64*ib + 16*bx, _MM_HINT_T1);/'

  # A kernel of our own for the output matrix; the file says why.
  local kernels='*/iqk_gemm_kquants.cpp'
  find "$source" -path '*/iqk/*' -name iqk_gemm_kquants.cpp -execdir cp "$(dirname "$(realpath "$0")")/q6_k_columns.h" . \;
  edit q6-k-columns "$kernels" 's/^bool iqk_set_kernels_kquants\(/#include "q6_k_columns.h"\n\n&/'
  edit q6-k-columns "$kernels" 's/^( *)IQK_SET_MUL_MAT_FUNCTIONS_T\(mul_mat_qY_K_q8_2_X4_T, DequantizerQ6K_AVX2, kernels\);$/&\n\1q6_k_columns::use(kernels);/'
}

patch_both() {
  # Many versions of llama-server answer under whatever name the request asked for. Ours is the alias that the entrypoint
  # exports.
  edit answers-under-alias '*/server/*.[ch]*' \
    's/json_value\((body|data|request), *"model", *std::string\((DEFAULT_OAICOMPAT_MODEL)?\)\)/std::string(getenv("MODEL_ALIAS") ?: "bitnet")/'
}

main
