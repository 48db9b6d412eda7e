// The passes over rows of evidence.
#pragma once

#include <cmath>
#include <vector>

#include "rows.h"

namespace leepjax {

// A `width` that isn't zero is the number of columns of a table whose rows, like those of the evidence, are padded to
// it.

// Add row i, times its weight, to the sums of its class.
template <class Sum, int width>
LEEPJAX_INLINE void add_row(const Rows<Sum>& rows, int64_t i, Sum weight, Sum* __restrict sums, Sum* buffer) {
  if constexpr (width > 0) {
    const Sum* __restrict row = rows.template padded<width>(i, buffer);
#pragma omp simd
    for (int j = 0; j < width; ++j) sums[j] += weight * row[j];
  } else {
    for (int64_t first = 0; first < rows.z; first += rows.part_size) {
      const int count = std::min(rows.part_size, rows.z - first);
      const Sum* __restrict part = rows.part(i, first, count, buffer);
#pragma omp simd
      for (int j = 0; j < count; ++j) sums[first + j] += weight * part[j];
    }
  }
}

// Add the rows from `start` to `end`, times their weights, to the sums of their classes, and the weights to `counts`:
// rows of classes in [low, high) and of a weight above zero.
template <class Sum, int width>
LEEPJAX_PER_PROCESSOR void add_rows(const Rows<Sum>& rows, const int32_t* labels, const Sum* weights, int64_t start,
                                    int64_t end, int64_t low, int64_t high, Sum* sums, Sum* counts) {
  alignas(64) Sum buffer[Rows<Sum>::kPart] = {};
  const auto counted = [&](int64_t i) { return low <= labels[i] && labels[i] < high && weights[i] > 0; };
  const auto add = [&](int64_t i) __attribute__((always_inline)) {
    add_row<Sum, width>(rows, i, weights[i], sums + labels[i] * (width ? width : rows.z), buffer);
    counts[labels[i]] += weights[i];
  };
  if constexpr (width > 0) {
    for (int64_t i = start; i < end; ++i)
      if (counted(i)) add(i);
  } else {
    std::vector<int64_t> found;
    for (int64_t i = start; i < end; ++i)
      if (counted(i)) found.push_back(i);
    const int64_t many = found.size(), ahead = rows.ahead();
    for (int64_t k = 0; k < many; ++k) {
      if (k + ahead < many) rows.fetch(found[k + ahead]);
      add(found[k]);
    }
  }
}

// What `multiply_rows` finds of a row.
template <class Sum>
struct Products {
  Sum own = 0, total = 0, below_zero = 0;
};

// In a function of its own, because GCC 12 doesn't vectorise it within the loops over rows and parts.
template <class Sum>
LEEPJAX_PER_PROCESSOR void multiply_part(const Sum* __restrict part, const Sum* __restrict factors, int count,
                                         Products<Sum>& products) {
  Sum own = 0, total = 0, below_zero = 0;
#pragma omp simd reduction(+ : own, total, below_zero)
  for (int j = 0; j < count; ++j) {
    own += part[j] * factors[j];
    total += part[j];
    below_zero += part[j] < 0 ? part[j] : Sum(0);
  }
  products.own += own;
  products.total += total;
  products.below_zero += below_zero;
}

// The same for a padded row, whose numbers from z on mean nothing.
template <class Sum, int width>
LEEPJAX_INLINE void multiply_narrow(const Sum* __restrict row, const Sum* __restrict factors, int z,
                                    Products<Sum>& products) {
  Sum own = 0, total = 0, below_zero = 0;
#pragma omp simd reduction(+ : own, total, below_zero)
  for (int j = 0; j < width; ++j) {
    const Sum read = row[j], value = j < z ? read : Sum(0);
    own += value * factors[j];
    total += value;
    below_zero += value < 0 ? value : Sum(0);
  }
  products = {own, total, below_zero};
}

// Per row: its product with the row of the table that belongs to its label, and its sum, NaN if a number is below zero.
// Both are NaN if the label is none of the classes.
template <class Sum, int width>
LEEPJAX_PER_PROCESSOR void multiply_rows(const Rows<Sum>& rows, const int32_t* labels, const Sum* table,
                                         int64_t classes, int64_t start, int64_t end, Sum* own, Sum* total) {
  alignas(64) Sum buffer[Rows<Sum>::kPart] = {};
  const int z = rows.z;
  for (int64_t i = start; i < end; ++i) {
    Products<Sum> found;
    if (labels[i] < 0 || labels[i] >= classes) {
      found.own = found.total = NAN;
    } else if constexpr (width > 0) {
      multiply_narrow<Sum, width>(rows.template padded<width>(i, buffer), table + labels[i] * width, z, found);
    } else {
      rows.fetch(std::min(i + rows.ahead(), rows.n - 1));
      for (int64_t first = 0; first < z; first += rows.part_size) {
        const int count = std::min(rows.part_size, z - first);
        multiply_part(rows.part(i, first, count, buffer), table + labels[i] * rows.z + first, count, found);
      }
    }
    own[i] = found.own;
    total[i] = found.below_zero < 0 ? Sum(NAN) : found.total;
  }
}

// Per row: the index of its largest number, the first of equal ones; that of the first NaN, if there is one.
template <class Sum>
LEEPJAX_PER_PROCESSOR void find_largest(const Rows<Sum>& rows, int64_t start, int64_t end, int32_t* largest) {
  alignas(64) Sum buffer[Rows<Sum>::kPart];
  for (int64_t i = start; i < end; ++i) {
    rows.fetch(std::min(i + rows.ahead(), rows.n - 1));
    Sum most = -INFINITY;
    largest[i] = 0;
    for (int64_t first = 0; first < rows.z; first += rows.part_size) {
      const int count = std::min(rows.part_size, rows.z - first);
      const Sum* __restrict part = rows.part(i, first, count, buffer);
      Sum most_here = -INFINITY;
      int nans = 0;
#pragma omp simd reduction(max : most_here) reduction(+ : nans)
      for (int j = 0; j < count; ++j) {
        most_here = part[j] > most_here ? part[j] : most_here;
        nans += part[j] != part[j];
      }
      if (nans || most_here > most) {
        largest[i] =
            first + (std::find_if(part, part + count, [&](Sum x) { return nans ? x != x : x == most_here; }) - part);
        most = most_here;
      }
      if (nans) break;
    }
  }
}

}  // namespace leepjax
