// Rows of evidence as XLA holds them, and the same numbers as floats.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define LEEPJAX_INLINE inline __attribute__((always_inline))

// Compiles a function once per kind of processor; the loader takes the best that runs here.
#if defined(__x86_64__) && defined(__linux__) && !defined(__clang__)
#define LEEPJAX_PER_PROCESSOR __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define LEEPJAX_PER_PROCESSOR
#endif

namespace leepjax {

LEEPJAX_INLINE int64_t ceil_of(int64_t count, int64_t per) { return (count + per - 1) / per; }

LEEPJAX_INLINE float of_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

LEEPJAX_PER_PROCESSOR inline void from_bfloat16(const uint16_t* stored, float* values, int64_t count) {
  for (int64_t k = 0; k < count; ++k) values[k] = of_bits(uint32_t(stored[k]) << 16);
}

// Without subnormal floats on the way, because XLA has its threads flush them to zero.
LEEPJAX_PER_PROCESSOR inline void from_float16_by_bits(const uint16_t* stored, float* values, int64_t count) {
  for (int64_t k = 0; k < count; ++k) {
    const uint32_t wide = uint32_t(stored[k]) << 16, magnitude = (wide & 0x7fff0000u) >> 3;
    const bool subnormal = magnitude < 1u << 23, finite = magnitude < 31u << 23;
    const uint32_t exponent =
        (subnormal ? 113u << 23 : 112u << 23) + (finite ? 0u : 112u << 23);  // biases of 127 and 15
    const float value = of_bits(magnitude + exponent) - (subnormal ? 0x1p-14f : 0.0f);
    values[k] = wide >> 31 ? -value : value;
  }
}

#if defined(__x86_64__)
__attribute__((target("avx,f16c"))) inline void from_float16_by_f16c(const uint16_t* stored, float* values,
                                                                     int64_t count) {
  int64_t k = 0;
  for (; k + 8 <= count; k += 8)
    _mm256_storeu_ps(values + k, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(stored + k))));
  for (; k < count; ++k) values[k] = _cvtsh_ss(stored[k]);
}
#endif

inline void from_float16(const uint16_t* stored, float* values, int64_t count) {
#if defined(__x86_64__)
  static const bool has_f16c = __builtin_cpu_supports("avx") && __builtin_cpu_supports("f16c");
  if (has_f16c) return from_float16_by_f16c(stored, values, count);
#endif
  from_float16_by_bits(stored, values, count);
}

enum class Stored { kAsSummed, kBfloat16, kFloat16 };

// Rows of `z` numbers, one after another, that are summed as `Sum`.
template <class Sum>
class Rows {
 public:
  // The most numbers that are read at once. Sums of so many are added up in turn, which loses fewer digits than one
  // long sum.
  static constexpr int64_t kPart = 512;

  const int64_t n, z;
  // Rows are read in equal parts of so many numbers.
  const int64_t part_size;

  Rows(const void* data, Stored stored, int64_t n, int64_t z)
      : n(n),
        z(z),
        part_size(ceil_of(z, std::max<int64_t>(1, ceil_of(z, kPart)))),
        data_(static_cast<const char*>(data)),
        stored_(stored),
        size_(stored == Stored::kAsSummed ? sizeof(Sum) : 2),
        ahead_(std::max<int64_t>(1, kAhead / std::max<int64_t>(1, z * size_))) {}

  // How many rows ahead of the one that is read the next to `fetch` is.
  int64_t ahead() const { return ahead_; }

  LEEPJAX_INLINE void fetch(int64_t i) const {
    const char* row = data_ + i * z * size_;
    for (int64_t byte = 0; byte < z * size_; byte += 64) __builtin_prefetch(row + byte, 0, 2);
  }

  // `count` numbers of row i from the `first` on: where they are, or converted in the buffer.
  LEEPJAX_INLINE const Sum* part(int64_t i, int64_t first, int64_t count, Sum* buffer) const {
    const char* start = data_ + (i * z + first) * size_;
    if (stored_ == Stored::kAsSummed) return reinterpret_cast<const Sum*>(start);
    if constexpr (sizeof(Sum) == sizeof(float)) {
      const auto* halves = reinterpret_cast<const uint16_t*>(start);
      stored_ == Stored::kFloat16 ? from_float16(halves, buffer, count) : from_bfloat16(halves, buffer, count);
    }
    return buffer;
  }

  // Row i, padded to `width` by numbers that mean nothing: those of the next row, or what the buffer held.
  template <int width>
  LEEPJAX_INLINE const Sum* padded(int64_t i, Sum* buffer) const {
    if (stored_ == Stored::kAsSummed && i * z + width > n * z) {  // beyond the last row is memory of others
      std::memcpy(buffer, data_ + i * z * size_, z * size_);
      return buffer;
    }
    return part(i, 0, z, buffer);
  }

 private:
  // Bytes between the row that is read and the one that is fetched into the second cache. A core reads memory a fifth
  // slower without it.
  static constexpr int64_t kAhead = 8192;

  const char* data_;
  Stored stored_;
  int64_t size_, ahead_;
};

}  // namespace leepjax
