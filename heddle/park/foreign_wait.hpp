#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/park/resource.hpp>
#include <heddle/park/wait.hpp>

#include <source_location>

namespace heddle::park {

/// Shows, while it lives, a wait of the calling thread that happens elsewhere: in a lock that is not heddle's, or in the
/// kernel. Nobody wakes it through heddle, and nothing cancels it: neither stop nor the choice of a victim.
///
/// - It is a wait like any other to whoever looks. [test: foreign_wait.is_seen_while_it_lives]
///
/// Thread-safety: belongs to the thread that made it, as thread_wait.
class [[nodiscard]] foreign_wait {
 public:
  /// @param until only shown: when the wait will end by itself.
  foreign_wait(const resource& what, deadline until, std::source_location site) noexcept;

  /// Sleeps here until then, for a wait that has to ask elsewhere again and again. It stays the same wait.
  /// - It keeps its age. [test: foreign_wait.keeps_its_age_over_a_pause]
  void pause(deadline until) noexcept;

 private:
  thread_wait wait_;
};

}  // namespace heddle::park
