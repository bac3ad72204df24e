#include "repeat.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>

int main(int argc, char** argv) {
  constexpr std::uint64_t batch = 200'000;
  boost::asio::thread_pool pool{2};
  peers::print_rate(peers::read_options(argc, argv), batch, [&] {
    std::atomic<int> over{0};
    boost::asio::post(pool, [&pool, &over] {
      for (std::uint64_t i = 0; i < batch; ++i) boost::asio::post(pool, [] {});
      // What a worker posts goes to the pool's queue when its own function ends; this is the last of it.
      boost::asio::post(pool, [&over] {
        over = 1;
        over.notify_all();
      });
    });
    over.wait(0);
  });
}
