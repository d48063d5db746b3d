#!/bin/bash
# Puts the engine's source into /src, from a git repository or from a tarball in the build context.
# Environment: ENGINE, ENGINE_REPO (git URL | file name in context/engine/ | empty: the engine's own), ENGINE_REF.
set -euo pipefail

case $ENGINE in
bitnet.cpp)
  repo=https://github.com/microsoft/BitNet
  ref=01eb415772c342d9f20dc42772f1583ae1e5b102
  ;;
ik_llama.cpp)
  repo=https://github.com/ikawrakow/ik_llama.cpp
  ref=8337e4cd3861406fc04e0854b1409cd1b027fbc9
  ;;
*)
  echo "ENGINE=$ENGINE: there is no such engine; use bitnet.cpp or ik_llama.cpp" >&2
  exit 1
  ;;
esac
repo=${ENGINE_REPO:-$repo} ref=${ENGINE_REF:-$ref}

# A company's own certificate authority, handed in with `--secret id=ca,src=FILE`.
if [[ -e /run/secrets/ca ]]; then
  export GIT_SSL_CAINFO=/run/secrets/ca
fi

clone() {
  rm -rf /src
  git init --quiet /src
  git -C /src remote add origin "$repo" # what a submodule's relative URL is relative to
  # Not every git server hands out a single commit by its number; the second form works everywhere.
  { git -C /src fetch --quiet --depth 1 "$repo" "$ref" && git -C /src checkout --quiet FETCH_HEAD; } ||
    { git -C /src fetch --quiet --tags "$repo" '+refs/heads/*:refs/remotes/origin/*' &&
      git -C /src checkout --quiet "$ref"; } ||
    return
  git -C /src submodule --quiet update --init --recursive --depth 1 ||
    git -C /src submodule --quiet update --init --recursive
}

if [[ $repo == *:* ]]; then
  echo "engine: $ENGINE, commit $ref of $repo"
  for pause in 2 10 30 0; do
    if clone; then break; fi
    if ((pause == 0)); then
      echo "ENGINE_REPO=$repo: cannot be cloned at ENGINE_REF=$ref; see git's message above" >&2
      exit 1
    fi
    sleep "$pause"
  done
else
  tarball=/context/engine/$repo
  echo "engine: $ENGINE, $repo of the build context"
  if [[ ! -f $tarball ]]; then
    echo "ENGINE_REPO=$repo: no git URL, and there is no file context/engine/$repo" >&2
    exit 1
  fi
  mkdir -p /src
  tar --extract --file "$tarball" --directory /src --strip-components=1 --no-same-owner
fi

# Without its history, equal source is equal content: an engine fetched again is not compiled again.
find /src -name .git -prune -exec rm -rf {} +
chmod -R u=rwX,go=rX /src

if [[ $ENGINE == bitnet.cpp ]]; then
  # Generated for each model, and only for weights of the types TL1 and TL2, which are not compiled in; still included.
  touch /src/include/bitnet-lut-kernels.h
  # Assigns a pointer to const to one that is not, which clang refuses.
  sed -i -E 's/^( *)int8_t \* y_col = y /\1const int8_t * y_col = y /' /src/src/ggml-bitnet-mad.cpp
  # It has the products of a whole batch on the stack, 512 tokens × a thread's rows × 4 bytes, which is more than the 8 MB
  # there are for 2B-4T on one thread, or for a model of 8B on two. On the heap they are, until their scope ends.
  find /src -path '*/ggml/src/ggml.c' -exec sed -i -E \
    -e '/^static void ggml_compute_forward_mul_mat\($/i static void free_floats(float ** floats) { free(*floats); }' \
    -e 's/^( *)float tmp\[(\(src0_end - src0_start\)\*\(ne11 - ne11 % 4\))\];/\1float * tmp __attribute__((cleanup(free_floats))) = malloc(\2 * sizeof(float));/' {} +
  # In place of the placeholder for a chat template that Microsoft's GGUFs have, llama.cpp puts a form of its own, which
  # is not what the models were trained with: only a user's message has an end, and the others run into the next one.
  # The trained form (runtime/engine.sh has it as a template) ends each, and then says "Assistant: ".
  find /src -path '*/src/llama.cpp' -type f -exec sed -i -E '/tmpl_contains\("BITNET"\)/,/template not supported/ {
    s/message->content( << .*)?;/trim(message->content) << "<|eot_id|>";/
    s/^ {12}\} else \{$/&\n                ss << "Assistant: ";/
    s/^ {4}\} else \{$/        if (add_ass) { ss << "Assistant: "; }\n&/
  }' {} +
fi

if [[ $ENGINE == ik_llama.cpp ]]; then
  # Its flash attention for heads of other sizes than BitNet models have, DeepSeek's and GLM's, takes long to compile.
  # Without it ggml's own computes such heads, and those of every other size. Which of the two does has to be settled at
  # the start: further on a thread that has nothing to do would report that all is done, and its rows would stay empty.
  for heads in 192_128 192_192 320_256 512_512 576_512; do
    find /src -name "iqk_fa_$heads.cpp" -exec sed -i "/^IQK_FA_CASE(/,/^}/c IQK_FA_CASE(iqk_fa_$heads) { return false; }" {} +
  done
  find /src -name iqk_flash_attn.cpp -exec sed -i \
    '/if (type_q != 0 || type_mask != 1 .* return false;/a if (Dk != Dv || (Dk != 64 \&\& Dk != 96 \&\& Dk != 128 \&\& Dk != 256)) return false;' {} +
fi

# Many versions of llama-server answer under whatever name the request asked for. Ours is the alias that the entrypoint
# exports. A version without this line answers under its alias anyway; the self-test sees to it that one of the two holds.
find /src -path '*/server/*' \( -name '*.cpp' -o -name '*.h' -o -name '*.hpp' \) -print0 |
  xargs -0 --no-run-if-empty sed -i -E \
    's/json_value\((body|data|request), *"model", *std::string\((DEFAULT_OAICOMPAT_MODEL)?\)\)/std::string(getenv("MODEL_ALIAS") ?: "bitnet")/'

# ik_llama.cpp's issue 2451: one request's ignore_eos or logit_bias would stay in force for everybody's later requests.
find /src -name server-context.cpp -exec sed -i \
  's|^\( *\){  // apply logit bias$|&\n\1    slot.sparams.logit_bias = default_sparams.logit_bias;|' {} +
