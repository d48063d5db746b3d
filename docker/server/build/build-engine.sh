#!/bin/bash
# Compiles llama-server and llama-quantize of the source in /src, and lays the libraries that they need beside them.
# usage: build-engine.sh ARCH CPU OUT     ARCH: amd64 | arm64
#                                         CPU: native | baseline | a name that gcc's -march (on ARM: -mcpu) knows
# Environment: ENGINE. Keeps compiled objects in /ccache.
set -euo pipefail
arch=$1 cpu=$2 out=$3

# The least that both engines' kernels for ternary weights are written for: AVX2, or NEON with dot products.
case $arch in
arm64) machine=aarch64 flag=-mcpu baseline=neoverse-n1 ;;
*) machine=x86_64 flag=-march baseline=x86-64-v3 ;;
esac
target=$flag=${cpu/#baseline/$baseline}

# No LTO and no BLAS: with LTO bitnet.cpp's prefill is a sixth slower and its decoding no faster, and no ternary matrix
# ever reaches BLAS. DESIGN.md's table has the numbers.
options=(
  -DCMAKE_BUILD_TYPE=Release # -O3
  -DBUILD_SHARED_LIBS=OFF
  -DGGML_NATIVE=OFF # the instructions are those of CPU
  -DGGML_OPENMP=ON
  -DGGML_CCACHE=OFF # we bring it ourselves, for every file
  -DCMAKE_C_COMPILER_LAUNCHER=ccache
  -DCMAKE_CXX_COMPILER_LAUNCHER=ccache
  -DLLAMA_BUILD_TESTS=OFF
  -DLLAMA_BUILD_EXAMPLES=ON
  -DLLAMA_BUILD_SERVER=ON
  -DLLAMA_CURL=OFF
)
if [[ $ENGINE == bitnet.cpp ]]; then
  options+=(-DLLAMA_BUILD_COMMON=ON -DLLAMA_BUILD_TOOLS=ON)
else
  # Without kernels for KV caches in other types than F16, Q8_0 and Q6_0: ours are in Q8_0 (runtime/engine.sh).
  options+=(-DGGML_IQK_FA_ALL_QUANTS=OFF)
fi

cc=gcc cxx=g++ strip=strip
if [[ $machine != $(uname -m) ]]; then
  # gcc for both engines: Debian has no OpenMP for clang that lies beside another architecture's.
  cc=$machine-linux-gnu-gcc cxx=$machine-linux-gnu-g++ strip=$machine-linux-gnu-strip
  options+=(-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR="$machine")
elif [[ $ENGINE == bitnet.cpp ]]; then
  cc=clang cxx=clang++ # its own advice, and a third faster than gcc in prefill
fi

mkdir -p "$out/lib"
"$cc" "$target" -x c -E -dM - </dev/null >"$out/macros"

# `native` is another CPU on another builder, which ccache by itself does not see.
export CCACHE_DIR=/ccache CCACHE_MAXSIZE=2G
CCACHE_COMPILERCHECK=string:$({ "$cc" --version && cat "$out/macros"; } | sha256sum)
export CCACHE_COMPILERCHECK

build=/tmp/engine
cmake -S /src -B "$build" -G Ninja "${options[@]}" -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" \
  -DCMAKE_C_FLAGS="$target -w" -DCMAKE_CXX_FLAGS="$target -w"
cmake --build "$build" --target llama-server llama-quantize
install --strip --strip-program="$strip" "$build"/bin/llama-{server,quantize} "$out"
rm -rf "$build"

# glibc's own are in every image.
objdump --private-headers "$out"/llama-{server,quantize} | awk '$1 == "NEEDED" { print $2 }' | sort -u |
  grep --extended-regexp --invert-match '^(ld-linux.*|libc|libm)[.]so' |
  while read -r library; do cp --dereference "$("$cxx" -print-file-name="$library")" "$out/lib"; done
