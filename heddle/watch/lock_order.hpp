#pragma once

#include <cstddef>

/// Locks that are taken in contradicting orders: deadlocks that have not happened yet.
namespace heddle::watch {

/// How much is known of the order in which locks are taken.
///
/// Whenever an agent takes a lock while it holds others, that order is learned; when it contradicts what was learned
/// before, a report (problem::lock_order, confidence::possible) names the circle, where each part of it was seen, by
/// whom, and the place to change. Nothing has to hang for that. Switched by settings::lock_order.
/// - It says who, where, and what to do. [test: lock_order.says_who_where_and_what_to_change]
/// - Off, it does nothing. [test: lock_order.off_learns_nothing]
/// - Any number of threads may make new chains at once. [test: lock_order.many_threads_find_one_circle_once]
///
/// What is one lock. Locks of one class are taken for one another: those with the same name (the same text), or made at
/// the same place. Two locks of one class are told apart by their addresses; so are locks that were made by a header that
/// only forwards (/usr/..., guarded.hpp) and whose place thus says nothing. When a lock is destroyed, what was learned of
/// its address is not held against the next lock there: a lock that is known carries a mark (see queue_guard::note()).
/// Locks that cannot be marked are compared by class only, or not at all if they have none. (An order that is known for an address is not learned again
/// for the next lock there, unless single locks begin anew.)
/// - By text or place. [test: lock_order.one_text_is_one_class, lock_order.one_place_is_one_class]
/// - Two of one class, and those without a place, are told apart.
///   [test: lock_order.two_of_one_class_are_told_apart, lock_order.a_place_in_a_forwarding_header_is_none]
/// - A new lock is not taken for the one before it. [test: lock_order.a_new_lock_at_the_same_address_is_another_one]
/// - Going through a chain of locks hand over hand is an order like any other.
///   [test: lock_order.hand_over_hand_is_one_order]
///
/// What is not reported:
/// - An order that one agent alone contradicts. [test: lock_order.one_agent_alone_is_no_problem]
/// - Orders that another lock keeps apart, held by all who take them: the same lock, not only one of its class.
///   [test: lock_order.a_common_gate_keeps_two_orders_apart, lock_order.two_gates_of_one_class_do_not]
/// - What was taken by trying, or with a deadline. It counts as held for what is taken next.
///   [test: lock_order.what_is_tried_has_no_order, lock_order.what_is_tried_counts_as_held]
/// - Circles in which readers would wait for readers only. A reader does wait for another one behind a writer, so such a
///   circle counts once a writer has been seen to wait for that class, that is, to take it while it held another lock or
///   before it took one; writers that never hold two locks are not seen.
///   [test: lock_order.readers_alone_are_no_problem, lock_order.a_writer_makes_readers_a_problem,
///   lock_order.a_shared_mutex_is_read_and_written]
/// - A recursive lock that is taken again. [test: lock_order.a_recursive_lock_taken_again_is_no_order]
///
/// What is reported:
/// - Each circle once, whatever its length up to ten. Once an order was told as the one to change, it counts no more.
///   [test: lock_order.is_told_once, lock_order.longer_circles_are_found]
/// - Threads and tasks alike. [test: lock_order.what_a_task_holds_goes_with_it]
/// - An agent that reads a lock which it reads already: it waits for itself if a writer comes between. Once for a class.
///   [test: lock_order.reading_twice_is_told_once]
///
/// Limits. Only the ten locks taken first are compared. At most 2,048 classes, 8,192 orders of two and 16,384
/// chains by class are kept; when that is full, it is said once on standard error and nothing is added. Of single locks
/// at most 2,048, 4,096 orders and 16,384 chains are kept; when that is full, it begins anew, but not more than once in
/// ten seconds.
/// - What is full is said once, and what is known stays known. [test: lock_order_full.what_is_full_is_said_once]
/// - Single locks do not keep others from being learned. [test: lock_order_full.single_locks_begin_anew]
/// Locks that a handler takes (see on_report()) are not studied.
/// [test: lock_order.a_handler_may_take_locks]
///
/// Cost. Nothing while one lock is held. Two locks in the order in which the agent took two before: one comparison. Another
/// chain that is known: a hash over the locks held, and one look. A new one: a
/// microsecond or so under one lock, which is not heddle's. Memory: 0.4 MB, and 0.9 KB for each order.
struct lock_order_state {
  std::size_t classes = 0;          ///< of locks
  std::size_t orders = 0;           ///< of two
  std::size_t chains = 0;           ///< by class
  std::size_t chains_of_locks = 0;  ///< that had to tell locks of one class apart
  bool full = false;                ///< something was not learned for want of room
};

/// Thread-safety: any thread, any time.
[[nodiscard]] lock_order_state lock_order() noexcept;

}  // namespace heddle::watch
