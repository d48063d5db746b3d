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

# usage: quantize TYPE FILE OPTION…
quantize() {
  LD_LIBRARY_PATH=$compiled/lib "$compiled/llama-quantize" "${@:3}" "$2" "$folder/converted.gguf" "$1" "$(nproc)"
  mv "$folder/converted.gguf" "$folder/model.gguf"
}

# The embedding mostly is the output matrix as well, and comes in 16 bits: half of all that a token touches. In 6 it
# makes bitnet.cpp's decoding a quarter faster (docs/DESIGN.md), and the 2B-4T model's perplexity 17.15 instead of
# 17.11 (microsoft/BitNet's src/README.md, which recommends it).
vocabulary=(--allow-requantize --token-embedding-type "$embedding" --output-tensor-type "$output")

# ik_llama.cpp loads I2_S, but multiplies it wrongly, and silently. Four rows side by side (R4), in the order that the CPU
# reads them, are half as much again in prefill; a server that had to bring them in that order would start a second
# later. From IQ2_BN that is a step of its own, as llama-quantize otherwise reads it without its rows' scales.
case $ENGINE-$weights in
ik_llama.cpp-I2_S) quantize IQ2_BN_R4 "$folder/model.gguf" "${vocabulary[@]}" ;;
ik_llama.cpp-IQ2_BN | ik_llama.cpp-TQ?_0)
  file=$folder/model.gguf
  if [[ $weights != IQ2_BN ]]; then file=/packed/model.gguf; fi # by pack-ternary.pl
  quantize IQ2_BN "$file" "${vocabulary[@]}"
  quantize IQ2_BN_R4 "$folder/model.gguf" --repack --repack-pattern '^blk[.]'
  ;;
*-Q1_0) ;; # the embedding, too, is in it; llama-quantize does not write it
*) quantize "$weights" "$folder/model.gguf" "${vocabulary[@]}" ;;
esac
# With a fixed time, equal content is an equal layer, which no registry needs twice.
touch --date=@0 "$folder"/* "$folder"
