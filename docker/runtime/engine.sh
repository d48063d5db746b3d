# What the engines need and can do, for the entrypoint and the self-test. ENGINE is set. Functions only.
# shellcheck shell=bash

# How many requests at once the engine was shown to answer rightly (DESIGN.md: 48 starts with 4 slots of bitnet.cpp
# without a wrong answer; with more than 1, every version of ik_llama.cpp answered some wrongly or crashed).
max_parallel() {
  case $ENGINE in
  bitnet.cpp) echo 4 ;;
  *) echo 1 ;;
  esac
}

# llama-server's arguments, one a line, that do not depend on settings. $1: true if the model is to be loaded into
# memory and locked there.
engine_arguments() {
  # Each step of the server is one batch, and only between steps does it answer /health and /metrics. More than 512
  # tokens are no faster, as the engine computes that many at a time.
  printf '%s\n' --batch-size 512
  if [[ $1 == true ]]; then printf '%s\n' --no-mmap --mlock; fi
  if [[ $ENGINE == ik_llama.cpp ]]; then
    printf '%s\n' --jinja # its only way to apply a model's own chat template
    # Or else up to 8 GiB of old conversations, more than the container's memory limit knows of.
    printf '%s\n' --cache-ram 0
    # Weights in the order that the CPU reads them: half as much again in prefill. It has to copy them, so no mmap.
    if [[ $1 == true ]]; then printf '%s\n' --run-time-repack; fi
  fi
}
