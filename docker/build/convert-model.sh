#!/bin/bash
# Turns FOLDER/model.gguf, of which FOLDER/facts tells, into what the engine computes rightly.
# usage: convert-model.sh FOLDER     Environment: ENGINE
set -euo pipefail
folder=$1

# What this machine can run.
compiled=/engine
if [[ -e /engine/here ]]; then compiled=/engine/here; fi

# ik_llama.cpp loads I2_S, but multiplies it wrongly, and silently.
if [[ $ENGINE == ik_llama.cpp ]] && grep --quiet '^weights=I2_S$' "$folder/facts"; then
  LD_LIBRARY_PATH=$compiled/lib "$compiled/llama-quantize" --allow-requantize \
    "$folder/model.gguf" "$folder/converted.gguf" IQ2_BN "$(nproc)"
  mv "$folder/converted.gguf" "$folder/model.gguf"
fi
# With a fixed time, equal content is an equal layer, which no registry needs twice.
touch --date=@0 "$folder"/* "$folder"
