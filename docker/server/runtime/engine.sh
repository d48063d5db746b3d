# What the engines need and can do, for the entrypoint and the self-test. ENGINE is set.
# shellcheck shell=bash

# How often gcc's OpenMP looks whether the others are ready before a thread sleeps. By default that is 300,000 times
# at each of hundreds of meetings a token, and whatever else wants the core waits meanwhile: beside one busy process
# answers then come many times as slowly as with this; alone no difference was measured (docs/DESIGN.md). Clang's gives
# the core away meanwhile.
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-10000}

# How many requests at once the engine was shown to answer rightly (docs/DESIGN.md; ik_llama.cpp as
# build/patch-engine.sh changes it).
max_parallel() {
  case $ENGINE in
  bitnet.cpp) echo 4 ;;
  *) echo 8 ;;
  esac
}

# Tokens that the server computes in one step. More are no faster, as the engine computes that many at a time.
batch=512

# How microsoft/bitnet-b1.58-2B-4T was trained, from its tokenizer_config.json; the engine itself begins with the BOS
# token. Its GGUF has a placeholder instead, under which answers never end (ik_llama.cpp's issue 339). The gateway reads
# the same file.
trained_template=$(dirname "${BASH_SOURCE[0]}")/trained-template.jinja

# llama-server's arguments, one a line, that do not depend on settings. $1: true if the model is to be loaded into
# memory and locked there. $2: "placeholder" if the model's file has no chat template of its own. $3: "missing" if it
# does not say how its tokenizer splits text. $4: the type of its KV cache, q8_0 or f16.
engine_arguments() {
  printf '%s\n' --batch-size "$batch"
  if [[ $1 == true ]]; then printf '%s\n' --no-mmap --mlock; fi
  # Models of that converter have Llama 3's tokenizer (2B-4T's model card); what is not said is taken for GPT-2's.
  if [[ ${3-} == missing ]]; then printf '%s\n' --override-kv tokenizer.ggml.pre=str:llama-bpe; fi
  if [[ $ENGINE == ik_llama.cpp ]]; then
    printf '%s\n' --jinja # its only way to apply a model's own chat template
    # bitnet.cpp has no Jinja: it knows the placeholder, and what should be there instead (build/fetch-engine.sh).
    if [[ ${2-} == placeholder ]]; then printf '%s\n' --chat-template "$(<"$trained_template")"; fi
    # In Q8_0 the cache takes half the memory, and long conversations are faster (docs/performance.md).
    printf '%s\n' --cache-type-k "${4-f16}" --cache-type-v "${4-f16}"
    # Or else up to 8 GiB of old conversations, more than the container's memory limit knows of.
    printf '%s\n' --cache-ram 0
  fi
}

# Seconds of silence after which a server is taken to hang: only between two steps does it answer /health and /metrics,
# and a step reads up to a whole batch of a prompt. A core of today reads 70 tokens a second with 0.8 GB of weights
# (DESIGN.md), which is 56 GB a second; an old or a contended one may be 40 times slower, 1.4 GB a second. CPU time
# would tell nothing: threads that hang, waiting for each other, spin.
# $1: the model's bytes, $2: threads
hang_timeout() { echo $((60 + batch * $1 / $2 / 1400000000)); }
