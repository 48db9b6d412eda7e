// The passes of `leepjax.kernels` over rows, as functions that XLA calls on a CPU and that use all of its threads.

#include <atomic>
#include <memory>
#include <thread>
#include <utility>

#include "passes.h"
#include "xla/ffi/api/ffi.h"

namespace leepjax {
namespace {

namespace ffi = xla::ffi;
using Any = ffi::AnyBuffer;
using Labels = ffi::Buffer<ffi::S32>;
using Found = ffi::Result<ffi::AnyBuffer>;

// Numbers in a task that is worth a thread of its own.
constexpr int64_t kGrain = 1 << 16;
// Tasks that keep the threads of a machine busy.
constexpr int64_t kTasks = 8;

// Call `task(i)` for i in [0, count) on all threads, `grain` at a time. The caller takes its turns and waits for tasks
// that others have begun, never for a thread to become free: all of them may be callers.
template <class Task>
void in_parallel(ffi::ThreadPool& pool, int64_t count, int64_t grain, const Task& task) {
  struct Progress {
    std::atomic<int64_t> next{0}, done{0};
  };
  auto progress = std::make_shared<Progress>();
  auto work = [progress, count, grain, run = &task] {
    for (int64_t start; (start = progress->next.fetch_add(grain)) < count;) {
      const int64_t end = std::min(start + grain, count);
      for (int64_t i = start; i < end; ++i) (*run)(i);
      progress->done.fetch_add(end - start);
    }
  };
  const int64_t turns = ceil_of(count, grain);
  for (int64_t helper = 1; helper < std::min<int64_t>(pool.num_threads(), turns); ++helper) {
    auto copy = work;
    pool.Schedule(std::move(copy));
  }
  work();
  while (progress->done.load() < count) std::this_thread::yield();
}

template <class Sum>
Sum* numbers(Found found) {
  return reinterpret_cast<Sum*>(found->untyped_data());
}

template <class Sum>
const Sum* numbers(const Any& array) {
  return reinterpret_cast<const Sum*>(array.untyped_data());
}

// Call `pass` with the width of a table as a constant where rows are narrow: a loop over few numbers is slow otherwise.
template <class Pass>
void with_width(int64_t width, const Pass& pass) {
  switch (width) {
    case 16:
      return pass(std::integral_constant<int, 16>());
    case 32:
      return pass(std::integral_constant<int, 32>());
    case 48:
      return pass(std::integral_constant<int, 48>());
    case 64:
      return pass(std::integral_constant<int, 64>());
    default:
      return pass(std::integral_constant<int, 0>());
  }
}

// Call `pass` with the rows.
template <class Pass>
ffi::Error with_rows(const Any& evidence, const Pass& pass) {
  const int64_t n = evidence.dimensions()[0], z = evidence.dimensions()[1];
  const void* data = evidence.untyped_data();
  switch (evidence.element_type()) {
    case ffi::F32:
      pass(Rows<float>(data, Stored::kAsSummed, n, z));
      break;
    case ffi::F64:
      pass(Rows<double>(data, Stored::kAsSummed, n, z));
      break;
    case ffi::BF16:
      pass(Rows<float>(data, Stored::kBfloat16, n, z));
      break;
    case ffi::F16:
      pass(Rows<float>(data, Stored::kFloat16, n, z));
      break;
    default:
      return ffi::Error::InvalidArgument("evidence of a type that has no pass");
  }
  return ffi::Error::Success();
}

template <class Sum>
Sum type_of(const Rows<Sum>&);

ffi::Error class_sums(ffi::ThreadPool pool, Any evidence, Labels labels, Any weights, Found tables, Found counts) {
  return with_rows(evidence, [&](const auto& rows) {
    using Sum = decltype(type_of(rows));
    const auto shape = tables->dimensions();
    const int64_t blocks = shape[0], classes = shape[1], width = shape[2], per_block = ceil_of(rows.n, blocks);
    // Few blocks are divided by class: each row still has one reader, and each sum one writer.
    const int64_t ranges = blocks < kTasks ? std::min(classes, kTasks) : 1;
    const int64_t per_range = ceil_of(classes, ranges);
    const int64_t grain = kGrain / std::max<int64_t>(1, per_block / ranges * rows.z);
    in_parallel(pool, blocks * ranges, std::max<int64_t>(1, grain), [&](int64_t task) {
      const int64_t block = task / ranges, low = task % ranges * per_range, high = std::min(low + per_range, classes);
      const int64_t start = std::min(block * per_block, rows.n), end = std::min(start + per_block, rows.n);
      if (low >= high) return;
      Sum* sums = numbers<Sum>(tables) + block * classes * width;
      Sum* counted = numbers<Sum>(counts) + block * classes;
      std::fill(sums + low * width, sums + high * width, Sum(0));
      std::fill(counted + low, counted + high, Sum(0));
      with_width(width, [&](auto fixed) {
        add_rows<Sum, fixed()>(rows, labels.typed_data(), numbers<Sum>(weights), start, end, low, high, sums, counted);
      });
    });
  });
}

ffi::Error own_likelihood(ffi::ThreadPool pool, Any table, Any evidence, Labels labels, Found own, Found total) {
  return with_rows(evidence, [&](const auto& rows) {
    using Sum = decltype(type_of(rows));
    const int64_t classes = table.dimensions()[0], width = table.dimensions()[1];
    const int64_t per_task = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, rows.z));
    in_parallel(pool, ceil_of(rows.n, per_task), 1, [&](int64_t task) {
      const int64_t start = task * per_task, end = std::min(start + per_task, rows.n);
      with_width(width, [&](auto fixed) {
        multiply_rows<Sum, fixed()>(rows, labels.typed_data(), numbers<Sum>(table), classes, start, end,
                                    numbers<Sum>(own), numbers<Sum>(total));
      });
    });
  });
}

ffi::Error first_largest(ffi::ThreadPool pool, Any evidence, ffi::Result<Labels> largest) {
  return with_rows(evidence, [&](const auto& rows) {
    const int64_t per_task = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, rows.z));
    in_parallel(pool, ceil_of(rows.n, per_task), 1, [&](int64_t task) {
      find_largest(rows, task * per_task, std::min((task + 1) * per_task, rows.n), largest->typed_data());
    });
  });
}

}  // namespace

// The version of XLA's interface that this was compiled for.
extern "C" int leepjax_interface() { return 1000 * XLA_FFI_API_MAJOR + XLA_FFI_API_MINOR; }

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    leepjax_class_sums, class_sums,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Any>().Arg<Labels>().Arg<Any>().Ret<Any>().Ret<Any>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    leepjax_own_likelihood, own_likelihood,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Any>().Arg<Any>().Arg<Labels>().Ret<Any>().Ret<Any>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(leepjax_first_largest, first_largest,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Any>().Ret<Labels>());

}  // namespace leepjax
