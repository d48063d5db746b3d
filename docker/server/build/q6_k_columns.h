// Multiplies a Q6_K matrix, which is the embedding and the output matrix, by 3 to 8 columns at once: the output of as
// many slots. patch-engine.sh adds it to ik_llama.cpp's iqk_gemm_kquants.cpp. It needs AVX-512 with VNNI.
//
// ik_llama.cpp's own kernel takes one row of weights at a time and has to add across a register for every 128 weights
// and column. With one column, memory is slower than that; with several, it is a quarter of the time for a token.
// Here 16 rows lie side by side, one in each lane. Nothing is added across a register, and a weight is unpacked once
// for all columns. The results are the same but for the order in which floats are added. One column and two are as
// fast or faster with ik_llama.cpp's own kernel.
#pragma once

namespace q6_k_columns {

#ifdef HAVE_FANCY_SIMD // iqk_config.h: AVX-512 F, BW, DQ, VL and VNNI

constexpr int n_rows = 16;

// What a block of 32 values of a column needs.
struct column_block {
  float scale;
  int32_t offset[2]; // -32 times the sum of each half, as Q6_K adds 32 to its weights
};

// 16 bytes of each row, of which out[i] gets dword i of all rows.
inline void load(const char * const * rows, size_t offset, __m512i * out) {
  __m512i x[4];
  for (int i = 0; i < 4; ++i) {
    auto at = [&](int row) { return _mm_loadu_si128((const __m128i *)(rows[row] + offset)); };
    x[i] = _mm512_castsi128_si512(at(i));
    x[i] = _mm512_mask_broadcast_i32x4(x[i], 0x00f0, at(i + 4));
    x[i] = _mm512_mask_broadcast_i32x4(x[i], 0x0f00, at(i + 8));
    x[i] = _mm512_mask_broadcast_i32x4(x[i], 0xf000, at(i + 12));
  }
  // Lane l of x[i] is row i + 4*l, so transposing the lanes brings the rows in order: 0, 1, 2, ..., 15.
  auto a = _mm512_unpacklo_epi32(x[0], x[1]), b = _mm512_unpackhi_epi32(x[0], x[1]);
  auto c = _mm512_unpacklo_epi32(x[2], x[3]), d = _mm512_unpackhi_epi32(x[2], x[3]);
  out[0] = _mm512_unpacklo_epi64(a, c);
  out[1] = _mm512_unpackhi_epi64(a, c);
  out[2] = _mm512_unpacklo_epi64(b, d);
  out[3] = _mm512_unpackhi_epi64(b, d);
}

// The next 256 weights of each row. weights[i] gets weights 4*i to 4*i + 3 of all rows, scales[i] the scales of weights
// 16*i to 16*i + 15.
inline void unpack(const char * const * rows, __m512i * weights, __m512 * scales) {
  uint16_t halves[n_rows];
  for (int row = 0; row < n_rows; ++row) std::memcpy(halves + row, rows[row] + offsetof(block_q6_K, d), 2);
  auto d = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)halves));
  __m512i s[4];
  load(rows, offsetof(block_q6_K, scales), s);
  for (int i = 0; i < 4; ++i) {
    for (int byte = 0; byte < 4; ++byte) {
      auto scale = _mm512_srai_epi32(_mm512_slli_epi32(s[i], 24 - 8*byte), 24);
      scales[4*i + byte] = _mm512_mul_ps(d, _mm512_cvtepi32_ps(scale));
    }
  }
  const auto m4 = _mm512_set1_epi8(0x0f), m2 = _mm512_set1_epi8(0x30);
  for (int part = 0; part < 4; ++part) {
    const int half = part/2, quarter = part%2;
    __m512i l1[4], l2[4], h[4];
    load(rows, offsetof(block_q6_K, ql) + 64*half + 16*quarter, l1);
    load(rows, offsetof(block_q6_K, ql) + 64*half + 16*quarter + 32, l2);
    load(rows, offsetof(block_q6_K, qh) + 32*half + 16*quarter, h);
    auto w = weights + 32*half + 4*quarter;
    auto join = [&](__m512i low, __m512i high) {
      return _mm512_or_si512(_mm512_and_si512(low, m4), _mm512_and_si512(high, m2));
    };
    for (int j = 0; j < 4; ++j, ++w) {
      w[0] = join(l1[j], _mm512_slli_epi16(h[j], 4));
      w[8] = join(l2[j], _mm512_slli_epi16(h[j], 2));
      w[16] = join(_mm512_srli_epi16(l1[j], 4), h[j]);
      w[24] = join(_mm512_srli_epi16(l2[j], 4), _mm512_srli_epi16(h[j], 2));
    }
  }
}

// What the n values of a column need.
inline void describe(const block_q8_2_x4 * y, int n, column_block * out) {
  const auto ones = _mm256_set1_epi8(1);
  for (int i = 0; i < n/128; ++i) {
    for (int k = 0; k < 4; ++k, ++out) {
      auto values = _mm256_loadu_si256((const __m256i *)y[i].qs + k);
      auto sums = _mm256_dpbusd_epi32(_mm256_setzero_si256(), ones, values);
      sums = _mm256_hadd_epi32(sums, sums);
      sums = _mm256_hadd_epi32(sums, sums);
      out->offset[0] = -32*_mm256_extract_epi32(sums, 0);
      out->offset[1] = -32*_mm256_extract_epi32(sums, 4);
      const uint32_t bits = uint32_t(y[i].d[k]) << 16; // a bfloat16
      std::memcpy(&out->scale, &bits, sizeof(bits));
    }
  }
}

// 32 weights of each row times those of a column.
inline __m512 dot(const __m512i * w, const __m512 * scales, const int8_t * values, const column_block & column) {
  auto sum1 = _mm512_set1_epi32(column.offset[0]), sum2 = _mm512_set1_epi32(column.offset[1]);
  for (int k = 0; k < 4; ++k) {
    int32_t y1, y2;
    std::memcpy(&y1, values + 4*k, sizeof(y1));
    std::memcpy(&y2, values + 4*k + 16, sizeof(y2));
    sum1 = _mm512_dpbusd_epi32(sum1, w[k], _mm512_set1_epi32(y1));
    sum2 = _mm512_dpbusd_epi32(sum2, w[k + 4], _mm512_set1_epi32(y2));
  }
  auto sum = _mm512_mul_ps(scales[0], _mm512_cvtepi32_ps(sum1));
  return _mm512_fmadd_ps(scales[1], _mm512_cvtepi32_ps(sum2), sum);
}

template <int nrc_y>
void mul_mat(int n, const void * vx, size_t bx, const DataInfo & info, int nrc_x) {
  Q8<nrc_y, block_q8_2_x4> q8(info);
  const int n_blocks = n/32;
  static thread_local std::vector<column_block> columns;
  if (columns.size() < size_t(nrc_y)*n_blocks) columns.resize(size_t(nrc_y)*n_blocks);
  for (int iy = 0; iy < nrc_y; ++iy) describe(q8.y[iy], n, columns.data() + iy*n_blocks);

  __m512i weights[64];
  __m512 scales[16];
  int ix = 0;
  for (; ix + n_rows <= nrc_x; ix += n_rows) {
    const char * rows[n_rows];
    for (int row = 0; row < n_rows; ++row) rows[row] = (const char *)vx + (ix + row)*bx;
    // CPUs do not foresee 16 short streams, so what comes 32 rows later is fetched here: 7 lines of 64 bytes for each
    // block, which has 420 bytes in 16 rows.
    auto ahead = rows[0] + 2*n_rows*bx;
    __m512 acc[nrc_y];
    for (int iy = 0; iy < nrc_y; ++iy) acc[iy] = _mm512_setzero_ps();
    for (int ib = 0; ib < n_blocks; ++ib) {
      const int in_256 = ib%8;
      if (in_256 == 0) {
        unpack(rows, weights, scales);
        for (auto & row : rows) row += sizeof(block_q6_K);
      }
      for (int line = 0; line < 7; ++line, ahead += 64) _mm_prefetch(ahead, _MM_HINT_T1);
      for (int iy = 0; iy < nrc_y; ++iy) {
        auto & column = columns[iy*n_blocks + ib];
        auto sum = dot(weights + 8*in_256, scales + 2*in_256, q8.y[iy][ib/4].qs + 32*(ib%4), column);
        acc[iy] = _mm512_fmadd_ps(_mm512_set1_ps(column.scale), sum, acc[iy]);
      }
    }
    for (int iy = 0; iy < nrc_y; ++iy) info.store(ix, iy, acc[iy]);
  }
  if (ix < nrc_x) {
    DataInfo rest = info;
    rest.s += ix;
    mul_mat_qY_K_q8_2_X4_T<DequantizerQ6K_AVX2, nrc_y>(n, (const char *)vx + ix*bx, bx, rest, nrc_x - ix);
  }
}

inline void use(std::array<mul_mat_t, IQK_MAX_NY> & kernels) {
  kernels[2] = mul_mat<3>;
  kernels[3] = mul_mat<4>;
  kernels[4] = mul_mat<5>;
  kernels[5] = mul_mat<6>;
  kernels[6] = mul_mat<7>;
  kernels[7] = mul_mat<8>;
}

#else

inline void use(std::array<mul_mat_t, IQK_MAX_NY> &) {}

#endif

} // namespace q6_k_columns
