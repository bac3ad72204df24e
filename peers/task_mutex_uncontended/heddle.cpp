#include "harness.hpp"

#include <heddle/exec/thread_pool.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/task.hpp>
#include <heddle/task/this_task.hpp>

namespace {

heddle::task<void> run(heddle::thread_pool& pool, const peers::options& given) {
  constexpr int batch = 10'000;
  co_await heddle::this_task::resume_on(pool);
  heddle::mutex mutex;
  std::uint64_t value = 0;
  std::uint64_t operations = 0;
  const auto start = peers::clock::now();
  double elapsed = 0;
  do {
    for (int i = 0; i < batch; ++i) {
      const std::unique_lock lock = co_await mutex.async_lock();
      asm volatile("" : "+r"(++value));
    }
    operations += batch;
    elapsed = peers::seconds_since(start);
  } while (elapsed < given.seconds);
  if (value != operations) {
    std::fprintf(stderr, "the protected value is wrong\n");
    std::exit(1);
  }
  std::printf(R"({"value": %.4f, "unit": "M ops/s", "better": "higher", "ns_per_op": %.3f})"
              "\n",
              static_cast<double>(operations) / elapsed / 1e6, elapsed * 1e9 / static_cast<double>(operations));
}

}  // namespace

/// One task of a pool of two threads locks and unlocks a mutex that nobody else wants.
int main(int argc, char** argv) {
  const peers::options given = peers::read_options(argc, argv);
  heddle::thread_pool pool{{.threads = 2}};
  heddle::sync_wait(run(pool, given));
}
