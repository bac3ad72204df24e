#pragma once

#include <heddle/park/agent.hpp>
#include <heddle/park/holds.hpp>

#include <cstddef>
#include <cstdint>

namespace heddle::watch {

/// Which locks were taken while which others were held: nodes and edges in memory of a fixed size, with an order of all
/// nodes that every edge agrees with, as long as there is one. Used under the lock of the lock order; never allocates.
///
/// State. A node is a class of locks, or one lock. An edge a -> b says that b was taken while a was held; it keeps a few
///   sightings of that. An edge that no order can agree with is `contrary`; one that has been told as the place to change
///   is `told` and belongs to no further circle.
/// Invariants.
///   I1  position is a permutation of the nodes, and position[a] < position[b] for each edge a -> b that is neither
///       contrary nor told.
///   I2  An edge is contrary only if it closed a circle when it came.
///   I3  The sightings of an edge do not cover each other (see covers()): what one of them proves, no other one proves.
class order_graph {
 public:
  using index = std::uint16_t;
  static constexpr index nothing = 0;  // nodes and edges begin at 1
  static constexpr std::uint32_t max_nodes = 4096;
  static constexpr std::uint32_t max_edges = 8192;
  static constexpr std::uint32_t max_lock_nodes = max_nodes / 2;  // single locks leave room for classes
  static constexpr std::uint32_t max_lock_edges = max_edges / 2;
  static constexpr std::uint32_t max_sightings = 4;
  static constexpr std::uint32_t max_length = 10;  // of a circle
  static constexpr std::uint32_t max_held = park::hold_list::capacity - 1;

  /// A lock that was held.
  struct held_lock {
    const void* lock;
    std::uint16_t lock_class;
    bool shared;
  };

  /// One time that an edge was seen.
  struct sighting {
    std::uint64_t by;  ///< tells agents apart, also those that have the same id one after the other
    std::uint32_t agent;
    agent::kind kind;
    bool first_shared;
    bool second_shared;
    std::uint8_t held_locks;
    char agent_name[32];
    const void* first_at;      ///< where the first lock was taken
    const void* second_at;     ///< where the second one was taken
    held_lock held[max_held];  ///< the first lock, then the others that were held
  };

  /// An edge of a circle, as it is told.
  struct step {
    index edge;
    index from;
    index to;
    const sighting* seen;
  };
  /// Each step begins where the one before ends; the last one was first seen later than all others.
  struct circle {
    std::uint32_t length = 0;
    step steps[max_length];
  };

  /// What answers what the graph does not know by itself.
  struct world {
    /// Whether writers wait for locks of this class.
    bool (*is_written)(std::uint16_t lock_class) noexcept;
    /// A lock of this class was what kept a circle from being a deadlock.
    void (*was_a_gate)(std::uint16_t lock_class) noexcept;
  };

  order_graph(world asks) noexcept : world_{asks} {}
  order_graph(const order_graph&) = delete;
  order_graph& operator=(const order_graph&) = delete;

  /// The node of a class (`lock` null), or of one lock; made if there is none. `nothing` when all are in use.
  [[nodiscard]] index node(std::uint16_t lock_class, const void* lock) noexcept;
  /// The lock that the node stood for is gone: its edges go.
  void clear_node(index n) noexcept;
  /// All nodes that are single locks go, with their edges.
  void forget_locks() noexcept;

  /// The edge has been seen. @return the edge if that says something new; `nothing` if not, or if there is no room.
  [[nodiscard]] index add(index from, index to, const sighting& seen) noexcept;

  /// A circle that leads through the edge and is a deadlock if all its sightings happen at once: by more than one agent,
  /// nowhere kept apart by another lock. The one that was seen last of its edges is then `told`.
  [[nodiscard]] bool find_circle(index edge, circle& out) noexcept;

  /// The next contrary edge behind this one, beginning with `nothing`, which also ends it.
  [[nodiscard]] index next_contrary(index edge) const noexcept;

  struct name {
    std::uint16_t lock_class;
    const void* lock;
  };
  [[nodiscard]] name name_of(index n) const noexcept { return {nodes_[n].lock_class, nodes_[n].lock}; }

  [[nodiscard]] std::uint32_t edges() const noexcept { return edges_; }
  /// Whether something about classes could not be kept because all nodes or edges were in use.
  [[nodiscard]] bool was_full() const noexcept { return was_full_; }
  /// The same about single locks, since they were last forgotten.
  [[nodiscard]] bool was_full_of_locks() const noexcept { return was_full_of_locks_; }

 private:
  struct node_data {
    const void* lock;
    std::uint16_t lock_class;
    bool used;
    index position;      // I1
    index out;           // the first edge from here
    index in;            // the first edge to here
    index next;          // with the same hash, or the next free one
    std::uint32_t mark;  // equal to mark_: seen by the search that runs
    std::uint16_t distance;
    bool on_path;
  };
  struct edge_data {
    index from;
    index to;
    index next_out;
    index next_in;
    bool used;
    bool contrary;
    bool told;
    std::uint8_t sightings;
    std::uint32_t order;  // the number of edges that were seen before
    sighting seen[max_sightings];
  };
  struct search;
  static bool covers(const sighting& a, const sighting& b) noexcept;

  static std::uint32_t bucket(std::uint16_t lock_class, const void* lock) noexcept;
  [[nodiscard]] index find_edge(index from, index to) const noexcept;
  [[nodiscard]] index new_edge(index from, index to) noexcept;
  void remove_edge(index e) noexcept;
  [[nodiscard]] bool put_in_order(index from, index to) noexcept;
  [[nodiscard]] bool of_locks(index from, index to) const noexcept {
    return nodes_[from].lock != nullptr || nodes_[to].lock != nullptr;
  }
  [[nodiscard]] bool note(edge_data& e, const sighting& seen) noexcept;
  [[nodiscard]] bool in_force(const edge_data& e) const noexcept { return !e.contrary && !e.told; }
  [[nodiscard]] bool measure(index from, index to) noexcept;

  static constexpr std::uint32_t buckets = 2048;

  world world_;
  std::uint32_t mark_{0};
  std::uint32_t seen_so_far_{0};
  std::uint32_t edges_{0};
  std::uint32_t contrary_{0};
  std::uint32_t nodes_end_{1};
  std::uint32_t edges_end_{1};
  index free_nodes_{nothing};
  index free_edges_{nothing};
  bool was_full_{false};
  bool was_full_of_locks_{false};
  std::uint32_t lock_nodes_{0};
  std::uint32_t lock_edges_{0};
  index heads_[buckets]{};
  index work_[max_nodes];    // of put_in_order() and measure()
  index behind_[max_nodes];  // of put_in_order()
  index spots_[max_nodes];   // of put_in_order()
  node_data nodes_[max_nodes];
  edge_data edges_data_[max_edges];
};

}  // namespace heddle::watch
