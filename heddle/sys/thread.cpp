#include <heddle/base/fatal.hpp>
#include <heddle/sys/futex.hpp>
#include <heddle/sys/thread.hpp>

#include <pthread.h>
#include <sched.h>

#include <climits>
#include <csignal>
#include <cstring>
#include <iterator>
#include <memory>
#include <new>
#include <utility>

namespace heddle::sys {
namespace {

/// What runs at the end of a thread. The key's destructor re-arms itself until the last round but one (ThreadSanitizer
/// takes the thread apart in the very last), so that other libraries' destructors, which may still use heddle, run
/// before it.
struct exit_record {
  struct call {
    void (*last)(void*);
    void* argument;
  };
  call calls[4];
  unsigned count;
  int round;
};

constinit thread_local exit_record exit_of_thread{{}, 0, 0};

pthread_key_t exit_key() noexcept {
  static const pthread_key_t key = [] {
    pthread_key_t made{};
    const int rc = pthread_key_create(&made, [](void* value) {
      auto* record = static_cast<exit_record*>(value);
      if (++record->round < PTHREAD_DESTRUCTOR_ITERATIONS - 1) {
        pthread_setspecific(exit_key(), record);
        return;
      }
      while (record->count != 0) {
        const exit_record::call last = record->calls[--record->count];
        last.last(last.argument);
      }
    });
    if (rc != 0) fatal("no thread-specific key is left for heddle");
    return made;
  }();
  return key;
}

}  // namespace

std::thread start_thread(std::string name, std::function<void()> body) {
  return std::thread([name = std::move(name), body = std::move(body)] {
    set_thread_name(name.c_str());
    body();
  });
}

bool start_service_thread(const char* name, void (*run)(void*), void* argument) noexcept {
  struct start {
    const char* name;
    void (*run)(void*);
    void* argument;
  };
  auto* const what = new (std::nothrow) start{name, run, argument};
  if (what == nullptr) return false;
  const auto begin = [](void* given) -> void* {
    const std::unique_ptr<start> mine{static_cast<start*>(given)};
    const start now = *mine;
    set_thread_name(now.name);
    now.run(now.argument);
    return nullptr;
  };
  pthread_attr_t how;
  pthread_attr_init(&how);
  pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
  pthread_attr_setinheritsched(&how, PTHREAD_EXPLICIT_SCHED);
  pthread_attr_setschedpolicy(&how, SCHED_OTHER);
  const sched_param ordinary{};
  pthread_attr_setschedparam(&how, &ordinary);  // else glibc takes the caller's
  cpu_set_t allowed;
  if (sched_getaffinity(getpid(), sizeof allowed, &allowed) == 0) {
    pthread_attr_setaffinity_np(&how, sizeof allowed, &allowed);
  }
  pthread_t started{};
  const bool done = pthread_create(&started, &how, begin, what) == 0;
  pthread_attr_destroy(&how);
  if (!done) delete what;
  return done;
}

void yield() noexcept { sched_yield(); }

void thread_name(char* buffer, std::size_t size) noexcept {
  if (pthread_getname_np(pthread_self(), buffer, size) != 0) buffer[0] = '\0';
}

void set_thread_name(const char* name) noexcept {
  char cut[16] = {};
  std::strncpy(cut, name, sizeof cut - 1);
  pthread_setname_np(pthread_self(), cut);
}

void block_all_signals() noexcept {
  sigset_t all;
  sigfillset(&all);
  sigdelset(&all, sample_signal());
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

bool has_real_time_policy() noexcept {
  const int policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
  return policy == SCHED_FIFO || policy == SCHED_RR || policy == SCHED_DEADLINE;
}

void at_thread_exit(void (*last)(void*), void* argument) noexcept {
  exit_record& record = exit_of_thread;
  if (record.count == std::size(record.calls))
    fatal("more is to be done at the end of a thread than heddle has room for");
  record.calls[record.count++] = {last, argument};
  record.round = 0;
  pthread_setspecific(exit_key(), &exit_of_thread);
}

void at_fork(void (*prepare)(), void (*parent)(), void (*child)()) noexcept {
  (void)thread_id();  // whose own handler comes first, so that `child` is told the new id
  pthread_atfork(prepare, parent, child);
}

}  // namespace heddle::sys
