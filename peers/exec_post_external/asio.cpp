#include "repeat.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>

int main(int argc, char** argv) {
  constexpr std::uint64_t batch = 200'000;
  boost::asio::thread_pool pool{2};
  peers::print_rate(peers::read_options(argc, argv), batch, [&] {
    for (std::uint64_t i = 0; i < batch - 2; ++i) boost::asio::post(pool, [] {});
    // The queue is first in, first out, so the batch is over when two that wait for each other have met.
    std::atomic<int> met{0};
    for (int i = 0; i < 2; ++i) {
      boost::asio::post(pool, [&met] {
        met.fetch_add(1);
        while (met.load() < 2) __builtin_ia32_pause();
        met.fetch_add(1);
        met.notify_all();
      });
    }
    for (int seen = met.load(); seen < 4; seen = met.load()) met.wait(seen);
  });
}
