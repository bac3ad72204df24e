#pragma once

#include <heddle/park/internal/picture.hpp>
#include <heddle/watch/report.hpp>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace heddle::watch {

/// Who waits for whom in one picture, and who can never go on.
class graph {
 public:
  explicit graph(const park::picture& seen);

  /// A circle of agents, each of which waits for the next one, the last for the first.
  struct circle {
    struct link {
      const park::agent_view* from;
      const park::agent_view* to;
      relation why;
    };
    std::vector<link> links;
    std::vector<const park::agent_view*> behind;  ///< who else cannot go on because of it

    /// The same for the same waits of the same agents, wherever it was entered.
    [[nodiscard]] std::string key() const;
    /// The first deadline of one of its waits.
    [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> until() const;
  };

  /// All circles, each once.
  [[nodiscard]] const std::vector<circle>& circles() const noexcept { return circles_; }

 private:
  struct need {
    std::size_t on;  // index of an agent
    relation why;
  };
  struct node {
    const park::agent_view* view;
    std::vector<need> needs;
    bool any = false;  // one of `needs` is enough to go on; else all have to
    bool goes_on = false;
    bool seen = false;
  };

  void find_needs(node& n);
  void find_executor_need(node& n);
  void find_holders(node& n);
  void find_who_goes_on();
  void find_circles();
  [[nodiscard]] const need* first_hopeless(const node& n) const;

  std::vector<node> nodes_;
  std::unordered_map<std::uint32_t, std::size_t> by_agent_;
  std::unordered_multimap<const void*, std::size_t> by_awaited_;   // what is awaited by this resource
  std::unordered_multimap<const void*, std::size_t> by_held_;      // who holds the lock
  std::unordered_multimap<const void*, std::size_t> by_waited_;    // who waits for the resource
  std::unordered_multimap<const void*, std::size_t> by_executor_;  // whose blocked thread is the executor's
  std::vector<circle> circles_;
};

}  // namespace heddle::watch
