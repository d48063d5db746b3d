#!/bin/bash
# Compiles llama-server and llama-quantize of the source in /src.
# usage: build-engine.sh CPU OUT     CPU: native | baseline | a name that gcc's -march (on ARM: -mcpu) knows
# Environment: ENGINE
set -euo pipefail
cpu=$1 out=$2

# The least that both engines' kernels for ternary weights are written for: AVX2, or NEON with dot products.
case $(uname -m) in
aarch64) flag=-mcpu baseline=neoverse-n1 ;;
*) flag=-march baseline=x86-64-v3 ;;
esac
flags="$flag=${cpu/#baseline/$baseline} -w"

# No LTO and no BLAS: with LTO bitnet.cpp's prefill is a sixth slower and its decoding no faster, and no ternary matrix
# ever reaches BLAS. DESIGN.md's table has the numbers.
options=(
  -DCMAKE_BUILD_TYPE=Release # -O3
  -DBUILD_SHARED_LIBS=OFF
  -DGGML_NATIVE=OFF # the instructions are those of CPU
  -DGGML_OPENMP=ON
  -DGGML_CCACHE=OFF
  -DLLAMA_BUILD_TESTS=OFF
  -DLLAMA_BUILD_EXAMPLES=ON
  -DLLAMA_BUILD_SERVER=ON
  -DLLAMA_CURL=OFF
)
if [[ $ENGINE == bitnet.cpp ]]; then
  # Its own advice, and a third faster than gcc in prefill.
  options+=(-DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DLLAMA_BUILD_COMMON=ON -DLLAMA_BUILD_TOOLS=ON)
else
  # Without kernels for quantised KV caches, which we never use.
  options+=(-DGGML_IQK_FA_ALL_QUANTS=OFF)
fi

build=$(mktemp -d)
cmake -S /src -B "$build" -G Ninja "${options[@]}" -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags"
cmake --build "$build" --target llama-server llama-quantize
mkdir -p "$out"
install --strip "$build"/bin/llama-{server,quantize} "$out"
rm -rf "$build"
"$(command -v clang || command -v gcc)" "$flag=${cpu/#baseline/$baseline}" -x c -E -dM - </dev/null >"$out/macros"
