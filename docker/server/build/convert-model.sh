#!/bin/bash
# Turns FOLDER/model.gguf, of which FOLDER/facts tells, into what the engine computes rightly and fast.
# usage: convert-model.sh FOLDER     Environment: ENGINE
set -euo pipefail
folder=$1

# What this machine can run.
compiled=/engine
if [[ -e /engine/here ]]; then compiled=/engine/here; fi

fact() {
  grep --max-count=1 "^$1=." "$folder/facts" | sed "s/^$1=//" || {
    echo "$folder/facts does not say $1" >&2
    return 1
  }
}
weights=$(fact weights)
embedding=$(fact embedding)
output=$(fact output)

# ik_llama.cpp loads I2_S, but multiplies it wrongly, and silently. Four rows side by side, in the order that the CPU
# reads them, are half as much again in prefill; a server that had to bring them in that order would start a second
# later.
if [[ $ENGINE == ik_llama.cpp && $weights =~ ^(I2_S|IQ2_BN)$ ]]; then weights=IQ2_BN_R4; fi

# The embedding mostly is the output matrix as well, and comes in 16 bits: half of all that a token touches. In 6 it
# makes bitnet.cpp's decoding a quarter faster (docs/DESIGN.md), and the 2B-4T model's perplexity 17.15 instead of
# 17.11 (microsoft/BitNet's src/README.md, which recommends it).
LD_LIBRARY_PATH=$compiled/lib "$compiled/llama-quantize" --allow-requantize \
  --token-embedding-type "$embedding" --output-tensor-type "$output" \
  "$folder/model.gguf" "$folder/converted.gguf" "$weights" "$(nproc)"
mv "$folder/converted.gguf" "$folder/model.gguf"
# With a fixed time, equal content is an equal layer, which no registry needs twice.
touch --date=@0 "$folder"/* "$folder"
