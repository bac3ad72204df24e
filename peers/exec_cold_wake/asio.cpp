#include "exec_cold_wake/workload.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <future>

int main(int argc, char** argv) {
  boost::asio::thread_pool pool{2};
  peers::print_cold_wake(peers::read_options(argc, argv), [&] {
    std::promise<void> done;
    boost::asio::post(pool, [&done] { done.set_value(); });
    done.get_future().wait();
  });
}
