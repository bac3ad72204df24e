#include "harness.hpp"

#include <heddle/sync/mutex.hpp>
#include <heddle/watch/settings.hpp>

#include <algorithm>
#include <vector>

namespace {

constexpr int batch = 20'000;

/// What `operation` takes, in ns.
template <class Operation>
double measure(Operation operation) {
  const auto start = peers::clock::now();
  for (int i = 0; i < batch; ++i) operation();
  return peers::seconds_since(start) * 1e9 / batch;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

}  // namespace

/// What looking at the order of locks adds to locking and unlocking: the value, while another lock is held and the chain
/// of the two is known; `nothing_held`, while none is.
int main(int argc, char** argv) {
  const peers::options given = peers::read_options(argc, argv);
  heddle::mutex outer{"outer"};
  heddle::mutex inner{"inner"};
  const auto lock_and_unlock = [&inner] {
    inner.lock();
    inner.unlock();
  };
  heddle::watch::settings with;
  heddle::watch::settings without;
  without.lock_order = false;
  std::vector<double> alone;
  std::vector<double> nested;
  const auto start = peers::clock::now();
  do {
    double alone_ns[2];
    double nested_ns[2];
    for (const bool on : {false, true}) {
      heddle::watch::configure(on ? with : without);
      alone_ns[on] = measure(lock_and_unlock);
      outer.lock();
      nested_ns[on] = measure(lock_and_unlock);
      outer.unlock();
    }
    alone.push_back(alone_ns[1] - alone_ns[0]);
    nested.push_back(nested_ns[1] - nested_ns[0]);
  } while (peers::seconds_since(start) < given.seconds);
  std::printf(R"({"value": %.2f, "unit": "ns more", "better": "lower", "nothing_held": %.2f})"
              "\n",
              median(nested), median(alone));
}
