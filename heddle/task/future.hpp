#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/fatal.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/park/executor.hpp>
#include <heddle/park/queue.hpp>
#include <heddle/park/wait.hpp>

#include <atomic>
#include <concepts>
#include <cstdint>
#include <exception>
#include <expected>
#include <functional>
#include <optional>
#include <source_location>
#include <stdexcept>
#include <stop_token>
#include <type_traits>
#include <utility>

namespace heddle {

/// What a future throws whose promise has gone without an answer.
class broken_promise final : public std::runtime_error {
 public:
  broken_promise() : std::runtime_error{"the promise has gone without an answer"} {}
};

template <class T>
class future;
template <class T>
class shared_future;
template <class T>
class promise;

namespace futures {

/// What is run when there is an answer; linked by the state that is waited for.
struct continuation {
  continuation* next = nullptr;
  void (*run)(continuation*) noexcept = nullptr;
};

/// What a promise and its future share, without the value. Counted: the last owner destroys it.
class state_base {
 public:
  state_base(const state_base&) = delete;
  state_base& operator=(const state_base&) = delete;

  [[nodiscard]] bool is_ready() const noexcept { return ready_.load(std::memory_order_acquire); }

  /// Blocks the calling thread until there is an answer.
  [[nodiscard]] std::expected<void, wait_error> wait(deadline until, const std::stop_token& stop,
                                                     std::source_location site) noexcept;

  void wait(std::source_location site) noexcept;

  void own() noexcept { owners_.fetch_add(1, std::memory_order_relaxed); }
  void disown() noexcept {
    if (owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  void answer_with(std::exception_ptr error) noexcept {
    error_ = std::move(error);
    answered();
  }

  /// Runs `then` once when there is an answer, on the thread that answers; at once if it is there. Runs that follow from
  /// others on the same thread come after each other, not within each other.
  void on_answer(continuation& then) noexcept;

  /// Says that nobody wants the answer any more. It comes all the same.
  void cancel() noexcept;

  /// Fires when cancel() has been called.
  [[nodiscard]] std::stop_token when_cancelled();

 protected:
  state_base() noexcept = default;
  virtual ~state_base();

  /// Makes the answer, which has been stored, visible and wakes those who wait. Once.
  void answered() noexcept;

  /// Throws the answer, if it is an exception; the state keeps no share of it, so the reader's thread destroys it.
  void rethrow() {
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

  /// Says that the answer will come from the current agent, so that diagnosis knows whom a waiter waits for.
  /// - A job that cannot end because its waiter holds what it needs is a deadlock. [test: deadlock.of_a_waiter_and_the_job_it_waits_for_is_found]
  void comes_from_here() noexcept { source_.store(current_agent().id(), std::memory_order_relaxed); }

  /// Called by a thread that is about to wait: lets a job that has not begun be run by whom waits for it, if that is
  /// a worker that would have run it anyway.
  virtual void help() noexcept {}

  /// Called by cancel(): what has not begun may be answered at once.
  virtual void withdraw() noexcept {}

  [[nodiscard]] const std::exception_ptr& error() const noexcept { return error_; }

  /// Guards what a derived class adds; see park::queue_guard.
  [[nodiscard]] park::queue& lock() noexcept { return waiters_; }

 private:
  friend class wait_for_answer;

  [[nodiscard]] park::resource resource() const noexcept {
    return {.kind = resource_kind::future, .address = this, .made = origin{"future"}, .owner = &source_};
  }

  std::atomic<std::uint32_t> owners_{1};
  std::atomic<std::uint32_t> source_{0};  // the agent that the answer comes from, if that is known
  std::atomic<bool> ready_{false};        // set once, under waiters_' lock
  bool cancelled_{false};                 // under waiters_' lock
  park::queue waiters_;
  continuation* continuations_{nullptr};           // under waiters_' lock; the last one first
  std::stop_source cancelling_{std::nostopstate};  // under waiters_' lock; made when it is asked for
  std::exception_ptr error_;                       // written before ready_, by the one who answers
};

/// A task's wait for an answer.
class wait_for_answer : public park::task_wait {
 protected:
  wait_for_answer(state_base& state, deadline until, std::stop_token stop, std::source_location site) noexcept;
  ~wait_for_answer() = default;

  [[nodiscard]] bool ready() noexcept override { return state_->is_ready(); }
  [[nodiscard]] bool enqueue() noexcept override;
  [[nodiscard]] step claimed(park::phase result) noexcept override;
  void refused(park::phase result) noexcept override;

  /// Why there is no answer; empty when there is one.
  [[nodiscard]] std::optional<wait_error> failure() const noexcept { return failure_; }

 private:
  state_base* state_;
  std::optional<wait_error> failure_;
};

template <class T>
class state : public state_base {
 public:
  template <class... Args>
  void answer(Args&&... args) {
    keep(std::forward<Args>(args)...);
    this->answered();
  }
  T take() {
    this->rethrow();
    return std::move(*value_);
  }
  const T& peek() const {
    if (this->error()) std::rethrow_exception(this->error());
    return *value_;
  }

 protected:
  /// Stores the value; answered() makes it visible.
  template <class... Args>
  void keep(Args&&... args) {
    value_.emplace(std::forward<Args>(args)...);
  }

 private:
  std::optional<T> value_;  // written before the answer is made visible
};

template <>
class state<void> : public state_base {
 public:
  void answer() noexcept { answered(); }
  void take() { rethrow(); }
  void peek() const {
    if (error()) std::rethrow_exception(error());
  }
};

template <class T>
class plain_state final : public state<T> {};

/// Owns a share of a state.
template <class T>
class handle {
 public:
  handle() noexcept = default;
  explicit handle(state<T>* taken) noexcept : state_{taken} {}
  handle(handle&& other) noexcept : state_{std::exchange(other.state_, nullptr)} {}
  handle& operator=(handle&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~handle() {
    if (state_ != nullptr) state_->disown();
  }
  [[nodiscard]] state<T>* get() const noexcept { return state_; }
  /// Another share of the same.
  [[nodiscard]] handle again() const noexcept {
    if (state_ != nullptr) state_->own();
    return handle{state_};
  }

 private:
  state<T>* state_ = nullptr;
};

template <class Fn, class T>
struct result_of_then {
  using type = std::invoke_result_t<Fn, T>;
};
template <class Fn>
struct result_of_then<Fn, void> {
  using type = std::invoke_result_t<Fn>;
};

/// The state of what future::then() returns: runs `fn` on the answer of another.
template <class T, class Fn>
class then_state final : public state<typename result_of_then<Fn, T>::type>, private continuation, private work_item {
  using result = typename result_of_then<Fn, T>::type;

 public:
  then_state(handle<T>&& source, executor* where, Fn&& fn)
      : source_{std::move(source)}, where_{where}, fn_{std::move(fn)} {}

  /// Once: waits for the answer on its own share.
  void begin() noexcept {
    this->own();
    continuation::run = [](continuation* due) noexcept {
      auto* const self = static_cast<then_state*>(due);
      if (self->where_ == nullptr) return self->call();
      self->work_item::run = [](work_item* item) noexcept { static_cast<then_state*>(item)->call(); };
      self->where_->post(*self);
    };
    source_.get()->on_answer(*this);
  }

 private:
  void call() noexcept {
    const handle<T> source = take_source();
    std::exception_ptr thrown;
    try {
      if constexpr (std::is_void_v<T>) {
        source.get()->take();
        if constexpr (std::is_void_v<result>) {
          std::invoke(std::move(*fn_));
        } else {
          this->keep(std::invoke(std::move(*fn_)));
        }
      } else if constexpr (std::is_void_v<result>) {
        std::invoke(std::move(*fn_), source.get()->take());
      } else {
        this->keep(std::invoke(std::move(*fn_), source.get()->take()));
      }
    } catch (...) {
      thrown = std::current_exception();
    }
    fn_.reset();
    if (thrown) {
      this->answer_with(std::move(thrown));
    } else {
      this->answered();
    }
    this->disown();
  }

  handle<T> take_source() noexcept {
    const park::queue_guard guard{this->lock()};
    return std::move(source_);
  }

  void withdraw() noexcept override {
    handle<T> source;
    {
      const park::queue_guard guard{this->lock()};
      source = source_.again();
    }
    if (source.get() != nullptr) source.get()->cancel();
  }

  handle<T> source_;  // under lock(), until it is called
  executor* where_;
  std::optional<Fn> fn_;
};

/// What `co_await` of a shared_future uses.
template <class T>
class [[nodiscard]] shared_awaiter final : public wait_for_answer {
 public:
  explicit shared_awaiter(handle<T>&& state) noexcept
      : wait_for_answer{*state.get(), deadline::never(), {}, {}}, state_{std::move(state)} {}
  /// The answer.
  [[nodiscard]] std::add_lvalue_reference_t<const T> await_resume() const { return state_.get()->peek(); }

 private:
  handle<T> state_;
};

/// What `co_await std::move(f)` uses.
template <class T>
class [[nodiscard]] value_awaiter final : public wait_for_answer {
 public:
  value_awaiter(handle<T>&& state, std::source_location site) noexcept
      : wait_for_answer{*state.get(), deadline::never(), {}, site}, state_{std::move(state)} {}
  /// The answer.
  T await_resume() { return state_.get()->take(); }

 private:
  handle<T> state_;
};

/// What future::async_wait() returns: awaits std::expected<void, wait_error>.
class [[nodiscard]] until_awaiter final : public wait_for_answer {
 public:
  until_awaiter(state_base& state, deadline until, std::stop_token stop, std::source_location site) noexcept
      : wait_for_answer{state, until, std::move(stop), site} {}
  std::expected<void, wait_error> await_resume() const noexcept {
    if (failure()) return std::unexpected{*failure()};
    return {};
  }
};

}  // namespace futures

/// A value, or an exception, that comes later; a thread waits for it, or a task awaits it.
///
/// Made by promise::get_future() or thread_pool::submit(). Move-only; T may be void or move-only, not a reference.
/// Letting a future go unread is allowed and waits for nothing.
///
/// - A thread gets the value. [test: future.a_thread_gets_the_value]
/// - A task gets the value and does not block its thread meanwhile.
///   [test: future.a_task_gets_the_value_without_blocking_its_thread]
/// - An exception arrives unchanged. [test: future.an_exception_arrives_unchanged]
/// - A promise that goes without an answer is an answer: broken_promise. [test: future.a_lost_promise_is_an_answer]
///
/// In a worker of a thread_pool, waiting cannot strand the pool: see thread_pool.
/// Thread-safety: the future belongs to one agent at a time; it and its promise are used from different threads.
template <class T>
class [[nodiscard]] future {
  static_assert(!std::is_reference_v<T>, "a future holds values; hand out a pointer or std::reference_wrapper");

 public:
  using value_type = T;

  /// A future of nothing.
  future() noexcept = default;

  /// Takes a share of `shared`; for those who make futures.
  explicit future(futures::handle<T> shared) noexcept : state_{std::move(shared)} {}

  /// Whether it still stands for a value: not moved from, not read.
  [[nodiscard]] bool valid() const noexcept { return state_.get() != nullptr; }

  /// Whether the answer is there, so that nothing would wait.
  [[nodiscard]] bool is_ready() const noexcept { return state("is_ready").is_ready(); }

  /// Waits for the answer, without end, and takes it: the value, or throws the exception. Ends the future.
  [[nodiscard]] T get(std::source_location site = std::source_location::current())
    requires(!std::is_void_v<T>)
  {
    const futures::handle<T> mine = take("get");
    mine.get()->wait(site);
    return mine.get()->take();
  }
  void get(std::source_location site = std::source_location::current())
    requires std::is_void_v<T>
  {
    const futures::handle<T> mine = take("get");
    mine.get()->wait(site);
    mine.get()->take();
  }

  /// Blocks the calling thread until the answer is there, `until` has come (wait_error::timeout) or `stop` fires
  /// (wait_error::stopped). The answer is not taken, and the future stays as it is: wait again, or get().
  /// - A wait that ends early loses nothing. [test: future.a_wait_that_ends_early_loses_nothing]
  [[nodiscard]] std::expected<void, wait_error> wait_until(
      deadline until, const std::stop_token& stop = {},
      std::source_location site = std::source_location::current()) const noexcept {
    return state("wait_until").wait(until, stop, site);
  }

  /// For tasks: as wait_until. The future must live until this has ended.
  /// - A task's deadline and stop end its wait. [test: future.a_task_times_out_and_is_stopped]
  [[nodiscard]] futures::until_awaiter async_wait(
      deadline until = {}, std::stop_token stop = {},
      std::source_location site = std::source_location::current()) const noexcept {
    return {state("async_wait"), until, std::move(stop), site};
  }

  /// Runs `fn(value)` when there is an answer, and gives a future of what it returns or throws. An exception is passed on
  /// without calling `fn`. Ends this future. Of a future<void> `fn()` is called.
  /// @param where runs it. Without it whoever answers does, or the caller if the answer is there: then `fn` must be short
  ///   and must not wait.
  /// - [test: future.then_runs_when_there_is_an_answer, future.then_runs_on_the_executor,
  ///   future.an_exception_passes_by_then]
  /// - A chain of any length does not grow the stack. [test: future.a_long_chain_of_then_does_not_grow_the_stack]
  template <class Fn>
  [[nodiscard]] auto then(executor& where, Fn fn) && {
    return chained(&where, std::move(fn));
  }
  template <class Fn>
  [[nodiscard]] auto then(Fn fn) && {
    return chained(nullptr, std::move(fn));
  }

  /// Says that the answer is not wanted any more: promise::when_cancelled() fires, what has not begun in a thread_pool does
  /// not begin, and then() passes it on to where it came from. The future stays, and gets an answer, whatever that is.
  /// - [test: future.cancelling_reaches_the_promise, future.cancelling_goes_up_a_chain,
  ///   thread_pool.a_job_that_is_cancelled_before_its_turn_is_not_called]
  void cancel() const noexcept { state("cancel").cancel(); }

  /// Turns it into a future that can be copied and read again and again. Ends this one.
  [[nodiscard]] shared_future<T> share() && noexcept { return shared_future<T>{take("share")}; }

  /// For tasks: `T value = co_await std::move(f);` When the task is stopped while it waits, it unwinds, and the answer
  /// is dropped when it comes.
  [[nodiscard]] futures::value_awaiter<T> operator co_await() && noexcept {
    return {take("co_await"), std::source_location{}};
  }

 private:
  [[nodiscard]] futures::state_base& state(const char* use) const noexcept {
    if (!valid()) no_state(use);
    return *state_.get();
  }
  [[nodiscard]] futures::handle<T> take(const char* use) noexcept {
    if (!valid()) no_state(use);
    return std::move(state_);
  }
  template <class Fn>
  auto chained(executor* where, Fn fn) {
    using result = typename futures::result_of_then<Fn, T>::type;
    static_assert(!std::is_reference_v<result>, "a future holds values");
    if (!valid()) no_state("then");
    auto* const made = new futures::then_state<T, Fn>{std::move(state_), where, std::move(fn)};
    future<result> answer{futures::handle<result>{made}};
    made->begin();
    return answer;
  }
  [[noreturn]] static void no_state(const char*) noexcept {
    fatal("a future was used that has been read or moved from; ask valid() first");
  }

  futures::handle<T> state_;
};

/// A future that can be copied; every copy reads the same answer, as often as it likes. Made by future::share().
///
/// - Threads and tasks read the same value. [test: shared_future.threads_and_tasks_read_the_same_value]
/// - An exception is thrown to each. [test: shared_future.an_exception_is_thrown_to_each]
///
/// Deadline and stop: as for future. Thread-safety: each copy belongs to one agent at a time; copies of one may be used
/// from different threads. The value is shared: it is const.
template <class T>
class shared_future {
 public:
  using value_type = T;

  /// A future of nothing.
  shared_future() noexcept = default;
  explicit shared_future(futures::handle<T> shared) noexcept : state_{std::move(shared)} {}
  shared_future(const shared_future& other) noexcept : state_{other.state_.again()} {}
  shared_future(shared_future&&) noexcept = default;
  shared_future& operator=(shared_future other) noexcept {
    state_ = std::move(other.state_);
    return *this;
  }
  ~shared_future() = default;

  /// Whether it stands for a value.
  [[nodiscard]] bool valid() const noexcept { return state_.get() != nullptr; }
  /// Whether the answer is there, so that nothing would wait.
  [[nodiscard]] bool is_ready() const noexcept { return state().is_ready(); }

  /// Waits for the answer, without end: the value, which lives as long as any copy; or throws the exception.
  std::add_lvalue_reference_t<const T> get(std::source_location site = std::source_location::current()) const {
    state().wait(site);
    return state_.get()->peek();
  }

  /// As future::wait_until.
  [[nodiscard]] std::expected<void, wait_error> wait_until(
      deadline until, const std::stop_token& stop = {},
      std::source_location site = std::source_location::current()) const noexcept {
    return state().wait(until, stop, site);
  }

  /// For tasks: as wait_until. A copy must live until this has ended.
  [[nodiscard]] futures::until_awaiter async_wait(
      deadline until = {}, std::stop_token stop = {},
      std::source_location site = std::source_location::current()) const noexcept {
    return {state(), until, std::move(stop), site};
  }

  /// For tasks: `const T& value = co_await f;` A task that is stopped while it waits unwinds; the others get their answer.
  /// - [test: shared_future.a_stopped_reader_leaves_the_others_theirs]
  [[nodiscard]] futures::shared_awaiter<T> operator co_await() const& noexcept {
    (void)state();
    return futures::shared_awaiter<T>{state_.again()};
  }
  void operator co_await() && = delete;  // the value would go with it

  /// As future::cancel(); for all copies.
  void cancel() const noexcept { state().cancel(); }

 private:
  [[nodiscard]] futures::state_base& state() const noexcept {
    if (!valid()) fatal("a shared_future was used that stands for nothing; ask valid() first");
    return *state_.get();
  }

  futures::handle<T> state_;
};

/// The other end of a future: gives the answer, once.
///
/// - Answering twice ends the program. [test: future_misuse.answering_twice_is_fatal]
///
/// Cost: one allocation for both ends. Thread-safety: used by one thread at a time.
template <class T>
class promise {
  static_assert(!std::is_reference_v<T>, "a promise holds values; hand out a pointer or std::reference_wrapper");

 public:
  promise() : state_{new futures::plain_state<T>} {}
  promise(promise&&) noexcept = default;
  promise& operator=(promise&& other) noexcept {
    promise old{std::move(*this)};
    state_ = std::move(other.state_);
    given_ = std::exchange(other.given_, false);
    return *this;
  }
  /// Without an answer so far, the future gets broken_promise.
  ~promise() {
    if (state_.get() != nullptr && !state_.get()->is_ready()) {
      state_.get()->answer_with(std::make_exception_ptr(broken_promise{}));
    }
  }

  /// The future; once.
  [[nodiscard]] future<T> get_future() noexcept {
    if (std::exchange(given_, true)) fatal("a promise has one future, and it was asked for twice");
    state_.get()->own();
    return future<T>{futures::handle<T>{state_.get()}};
  }

  /// Fires when the future has been cancelled: nobody wants the answer any more. Answer all the same, as with an exception,
  /// or let the promise go.
  /// @throws std::bad_alloc
  [[nodiscard]] std::stop_token when_cancelled() {
    if (state_.get() == nullptr) fatal("a promise was used that has been moved from");
    return state_.get()->when_cancelled();
  }

  /// Answers with a value. If making the value throws, the promise stays unanswered.
  /// - A throwing copy leaves the promise unanswered. [test: future.a_value_that_throws_leaves_the_promise_open]
  template <class... Args>
    requires(!std::is_void_v<T> && std::constructible_from<T, Args...>)
  void set_value(Args&&... args) {
    open().answer(std::forward<Args>(args)...);
  }
  void set_value() noexcept
    requires std::is_void_v<T>
  {
    open().answer();
  }

  /// Answers with an exception, which must not be null.
  void set_exception(std::exception_ptr error) noexcept { open().answer_with(std::move(error)); }

 private:
  futures::state<T>& open() noexcept {
    if (state_.get() == nullptr || state_.get()->is_ready()) {
      fatal("a promise was answered twice, or after it was moved from");
    }
    return *state_.get();
  }

  futures::handle<T> state_;
  bool given_ = false;
};

}  // namespace heddle
