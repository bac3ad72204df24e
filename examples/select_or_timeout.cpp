// A dispatcher waits for whatever comes first: an order, a cancellation, or the end of its shift.

#include <heddle/channel/select.hpp>
#include <heddle/channel/work_queue.hpp>

#include <fmt/core.h>

#include <atomic>
#include <chrono>
#include <thread>

using namespace std::chrono_literals;

// [select]
struct counts {
  int orders = 0;
  int cancelled = 0;
};

counts dispatch(heddle::channel<int>& orders, heddle::channel<int>& cancellations, heddle::deadline shift_ends) {
  counts seen;
  heddle::recv_case order{orders};
  heddle::recv_case cancellation{cancellations};
  while (const auto which = heddle::select({order, cancellation}, shift_ends)) {
    if (*which == 0) {
      if (!order.result()) break;  // closed: no order will come any more
      ++seen.orders;
    } else if (cancellation.result()) {
      ++seen.cancelled;
    }
  }
  return seen;  // or the shift has ended, and nothing was taken in the last wait
}
// [/select]

// [work_queue]
int pack_all(int parcels) {
  heddle::work_queue<int> jobs{heddle::bounded(8)};
  std::atomic<int> packed{0};
  const auto worker = [&] {
    while (const auto parcel = jobs.get()) {
      packed += 1;
      jobs.task_done();
    }
  };
  std::jthread one{worker};
  std::jthread other{worker};
  for (int i = 0; i < parcels; ++i) (void)jobs.put(i);
  (void)jobs.join();  // each parcel has been packed, not only taken
  jobs.shutdown();
  return packed;
}
// [/work_queue]

int main() {
  heddle::channel<int> orders{heddle::bounded(4), "orders"};
  heddle::channel<int> cancellations{heddle::rendezvous, "cancellations"};
  std::jthread customers{[&] {
    for (int i = 0; i < 100; ++i) {
      (void)orders.send(i);
      if (i % 10 == 0) (void)cancellations.send(i);
    }
    orders.close();
  }};
  const counts seen = dispatch(orders, cancellations, heddle::deadline::after(1h));
  const int packed = pack_all(50);
  fmt::print("select: {} orders and {} cancellations (expected 100 and 10); {} parcels packed (expected 50)\n",
             seen.orders, seen.cancelled, packed);
  return seen.orders == 100 && seen.cancelled == 10 && packed == 50 ? 0 : 1;
}
