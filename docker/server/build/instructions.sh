#!/bin/bash
# Which instruction sets code compiled with the predefined macros on stdin may use: one line of names, as /proc/cpuinfo
# has them. Only what compilers use by themselves; what a program must ask for (AES, RDRAND, ...) is left out.
set -euo pipefail

declare -A names=(
  [__SSE3__]=pni [__SSSE3__]=ssse3 [__SSE4_1__]=sse4_1 [__SSE4_2__]=sse4_2 [__POPCNT__]=popcnt [__MOVBE__]=movbe
  [__AVX__]=avx [__AVX2__]=avx2 [__FMA__]=fma [__F16C__]=f16c [__BMI__]=bmi1 [__BMI2__]=bmi2 [__LZCNT__]=abm
  [__AVX512F__]=avx512f [__AVX512CD__]=avx512cd [__AVX512BW__]=avx512bw [__AVX512DQ__]=avx512dq
  [__AVX512VL__]=avx512vl [__AVX512IFMA__]=avx512ifma [__AVX512VBMI__]=avx512vbmi [__AVX512VBMI2__]=avx512_vbmi2
  [__AVX512VNNI__]=avx512_vnni [__AVX512BITALG__]=avx512_bitalg [__AVX512VPOPCNTDQ__]=avx512_vpopcntdq
  [__AVX512BF16__]=avx512_bf16 [__AVX512FP16__]=avx512_fp16 [__AVX512VP2INTERSECT__]=avx512_vp2intersect
  [__AVXVNNI__]=avx_vnni [__GFNI__]=gfni [__AMX_TILE__]=amx_tile [__AMX_INT8__]=amx_int8 [__AMX_BF16__]=amx_bf16
  [__ARM_FEATURE_ATOMICS]=atomics [__ARM_FEATURE_DOTPROD]=asimddp [__ARM_FEATURE_FP16_VECTOR_ARITHMETIC]=asimdhp
  [__ARM_FEATURE_MATMUL_INT8]=i8mm [__ARM_FEATURE_BF16_VECTOR_ARITHMETIC]=bf16 [__ARM_FEATURE_SVE]=sve
  [__ARM_FEATURE_SVE2]=sve2
)
found=()
while read -r _ macro _; do
  if [[ -v names[$macro] ]]; then found+=("${names[$macro]}"); fi
done
printf '%s\n' "${found[@]}" | sort | paste -sd ' '
