// Producer and consumer: a thread sends through a bounded channel, a task receives; the producer waits when it is full.

#include <heddle/channel/channel.hpp>
#include <heddle/task/sync_wait.hpp>

#include <fmt/core.h>

#include <thread>

// [producer_consumer]
heddle::channel<int> orders{4, "orders"};

void producer() {
  for (int order = 1; order <= 1'000; ++order) (void)orders.send(order);
  orders.close();
}

heddle::task<long> consumer() {
  long sum = 0;
  while (const auto order = co_await orders.async_recv()) sum += *order;
  co_return sum;
}
// [/producer_consumer]

int main() {
  std::thread thread{producer};
  const long sum = heddle::sync_wait(consumer());
  thread.join();
  fmt::print("producer-consumer: 1000 items through a channel of {}, sum {} (expected 500500)\n", orders.capacity(),
             sum);
  return sum == 500'500 ? 0 : 1;
}
