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

/// What looking at the order of locks adds to locking and unlocking, while another lock is held and the chain of the two
/// is known: the value, when the agent has taken another pair last, so that the chain is looked up; `same_pair`, when it
/// has taken this one; `nothing_held`, while none is. `nested_ns` and `alone_ns` are what it takes in all.
int main(int argc, char** argv) {
  const peers::options given = peers::read_options(argc, argv);
  heddle::mutex outer{"outer"};
  heddle::mutex inner{"inner"};
  heddle::mutex others[] = {heddle::mutex{"one other"}, heddle::mutex{"the other other"}};
  const auto lock_and_unlock = [&inner] {
    inner.lock();
    inner.unlock();
  };
  const auto in_turns = [&others, i = 0U]() mutable {
    heddle::mutex& next = others[++i % 2];
    next.lock();
    next.unlock();
  };
  heddle::watch::settings with;
  heddle::watch::settings without;
  without.lock_order = false;
  std::vector<double> alone;
  std::vector<double> same;
  std::vector<double> other;
  std::vector<double> alone_in_all;
  std::vector<double> same_in_all;
  const auto start = peers::clock::now();
  do {
    double alone_ns[2];
    double same_ns[2];
    double other_ns[2];
    for (const bool on : {false, true}) {
      heddle::watch::configure(on ? with : without);
      alone_ns[on] = measure(lock_and_unlock);
      outer.lock();
      same_ns[on] = measure(lock_and_unlock);
      other_ns[on] = measure(in_turns);
      outer.unlock();
    }
    alone.push_back(alone_ns[1] - alone_ns[0]);
    same.push_back(same_ns[1] - same_ns[0]);
    other.push_back(other_ns[1] - other_ns[0]);
    alone_in_all.push_back(alone_ns[1]);
    same_in_all.push_back(same_ns[1]);
  } while (peers::seconds_since(start) < given.seconds);
  std::printf(R"({"value": %.2f, "unit": "ns more", "better": "lower", "same_pair": %.2f, "nothing_held": %.2f, )"
              R"("nested_ns": %.2f, "alone_ns": %.2f})"
              "\n",
              median(other), median(same), median(alone), median(same_in_all), median(alone_in_all));
}
