#include "shared_mutex_mixed/workload.hpp"

#include <heddle/sync/mutex.hpp>
#include <heddle/sync/shared_mutex.hpp>

namespace {

/// A plain mutex in the place of a shared one.
class plain : public heddle::mutex {
 public:
  [[clang::no_thread_safety_analysis]] void lock_shared() { lock(); }
  [[clang::no_thread_safety_analysis]] void unlock_shared() { unlock(); }
};

}  // namespace

/// The least share of writes at which a plain mutex lets more through than a shared one, out of some shares; 100 means
/// that it does at none of them.
int main(int argc, char** argv) {
  peers::options given = peers::read_options(argc, argv);
  const auto rate = [](const peers::tally& found) { return static_cast<double>(found.total) / found.elapsed; };
  given.seconds /= 8;
  for (const int writes : {0, 1, 2, 5, 10, 15, 20, 30, 50, 70, 100}) {
    given.writes = writes;
    double ahead = 0;
    for (int i = 0; i < 4; ++i) {
      const double shared = rate(peers::mixed<heddle::shared_mutex>(given));
      ahead += shared > rate(peers::mixed<plain>(given)) ? 1 : 0;
    }
    if (ahead < 2 || writes == 100) {
      std::printf(R"({"value": %d, "unit": "%% writes", "better": "higher"})"
                  "\n",
                  writes);
      return 0;
    }
  }
}
