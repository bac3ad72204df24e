// The order of the nodes is kept as edges come, by looking only at the nodes between the two ends of an edge that
// disagrees with it. Most edges agree, and cost nothing. Only when some edge is contrary are circles looked for, shortest
// first, and only through the edge that has just got a new sighting: all others were looked for before.
//
// Cost. An edge that agrees: its two lists. One that does not: the nodes and edges between its ends. A circle: one walk
//   backwards over what leads to the edge, then at most `budget` steps.
// Rejected. All circles of the graph: there may be exponentially many, and they share the place to change.
// Source. Pearce, Kelly: A Dynamic Topological Sort Algorithm for Directed Acyclic Graphs (2006).

#include <heddle/watch/internal/order_graph.hpp>

#include <algorithm>
#include <cstring>

namespace heddle::watch {

// --- nodes ---

std::uint32_t order_graph::bucket(std::uint16_t lock_class, const void* lock) noexcept {
  const std::uint64_t key = reinterpret_cast<std::uint64_t>(lock) ^ std::uint64_t{lock_class} << 48U;
  return static_cast<std::uint32_t>(key * 0x9e3779b97f4a7c15ULL >> 40U) % buckets;
}

order_graph::index order_graph::node(std::uint16_t lock_class, const void* lock) noexcept {
  index& head = heads_[bucket(lock_class, lock)];
  for (index n = head; n != nothing; n = nodes_[n].next) {
    if (nodes_[n].lock == lock && nodes_[n].lock_class == lock_class) return n;
  }
  if (lock != nullptr && lock_nodes_ == max_lock_nodes) {
    was_full_of_locks_ = true;
    return nothing;
  }
  index made = free_nodes_;
  if (made != nothing) {
    free_nodes_ = nodes_[made].next;  // it keeps its position: I1
  } else if (nodes_end_ < max_nodes) {
    made = static_cast<index>(nodes_end_++);
    nodes_[made].position = made;
  } else {
    was_full_ = true;
    return nothing;
  }
  if (lock != nullptr) ++lock_nodes_;
  node_data& n = nodes_[made];
  n = {.lock = lock,
       .lock_class = lock_class,
       .used = true,
       .position = n.position,
       .out = nothing,
       .in = nothing,
       .next = head,
       .mark = 0,
       .distance = 0,
       .on_path = false};
  head = made;
  return made;
}

void order_graph::clear_node(index n) noexcept {
  while (nodes_[n].out != nothing) remove_edge(nodes_[n].out);
  while (nodes_[n].in != nothing) remove_edge(nodes_[n].in);
}

void order_graph::forget_locks() noexcept {
  for (std::uint32_t i = 1; i < nodes_end_; ++i) {
    const auto n = static_cast<index>(i);
    node_data& gone = nodes_[n];
    if (!gone.used || gone.lock == nullptr) continue;
    clear_node(n);
    index* link = &heads_[bucket(gone.lock_class, gone.lock)];
    while (*link != n) link = &nodes_[*link].next;
    *link = gone.next;
    gone.used = false;
    gone.next = free_nodes_;
    free_nodes_ = n;
  }
  lock_nodes_ = 0;
  was_full_of_locks_ = false;
}

// --- edges ---

order_graph::index order_graph::find_edge(index from, index to) const noexcept {
  index e = nodes_[from].out;
  while (e != nothing && edges_data_[e].to != to) e = edges_data_[e].next_out;
  return e;
}

order_graph::index order_graph::new_edge(index from, index to) noexcept {
  const bool locks = of_locks(from, to);
  if (locks && lock_edges_ == max_lock_edges) {
    was_full_of_locks_ = true;
    return nothing;
  }
  index made = free_edges_;
  if (made != nothing) {
    free_edges_ = edges_data_[made].next_out;
  } else if (edges_end_ < max_edges) {
    made = static_cast<index>(edges_end_++);
  } else {
    was_full_ = true;
    return nothing;
  }
  if (locks) ++lock_edges_;
  edge_data& e = edges_data_[made];
  e.from = from;
  e.to = to;
  e.used = true;
  e.told = false;
  e.sightings = 0;
  e.order = seen_so_far_++;
  e.contrary = !put_in_order(from, to);  // I2
  if (e.contrary) ++contrary_;
  e.next_out = nodes_[from].out;
  nodes_[from].out = made;
  e.next_in = nodes_[to].in;
  nodes_[to].in = made;
  ++edges_;
  return made;
}

void order_graph::remove_edge(index gone) noexcept {
  edge_data& e = edges_data_[gone];
  index* link = &nodes_[e.from].out;
  while (*link != gone) link = &edges_data_[*link].next_out;
  *link = e.next_out;
  link = &nodes_[e.to].in;
  while (*link != gone) link = &edges_data_[*link].next_in;
  *link = e.next_in;
  if (e.contrary && !e.told) --contrary_;
  if (of_locks(e.from, e.to)) --lock_edges_;
  e.used = false;
  e.next_out = free_edges_;
  free_edges_ = gone;
  --edges_;
}

order_graph::index order_graph::next_contrary(index edge) const noexcept {
  if (contrary_ == 0) return nothing;
  for (std::uint32_t e = edge + 1U; e < edges_end_; ++e) {
    if (edges_data_[e].used && edges_data_[e].contrary && !edges_data_[e].told) return static_cast<index>(e);
  }
  return nothing;
}

// --- the order (I1) ---

bool order_graph::put_in_order(index from, index to) noexcept {
  const index low = nodes_[to].position;
  const index high = nodes_[from].position;
  if (high < low) return true;

  // What comes after `to`, up to the place of `from`.
  ++mark_;
  std::uint32_t after = 0;
  work_[after++] = to;
  nodes_[to].mark = mark_;
  for (std::uint32_t i = 0; i < after; ++i) {
    for (index e = nodes_[work_[i]].out; e != nothing; e = edges_data_[e].next_out) {
      const index next = edges_data_[e].to;
      if (!in_force(edges_data_[e]) || nodes_[next].mark == mark_ || nodes_[next].position > high) continue;
      if (next == from) return false;
      nodes_[next].mark = mark_;
      work_[after++] = next;
    }
  }
  // What comes before `from`, down to the place of `to`.
  std::uint32_t before = 0;
  behind_[before++] = from;
  nodes_[from].mark = mark_;
  for (std::uint32_t i = 0; i < before; ++i) {
    for (index e = nodes_[behind_[i]].in; e != nothing; e = edges_data_[e].next_in) {
      const index next = edges_data_[e].from;
      if (!in_force(edges_data_[e]) || nodes_[next].mark == mark_ || nodes_[next].position < low) continue;
      nodes_[next].mark = mark_;
      behind_[before++] = next;
    }
  }
  // Both keep their inner order, and share the places that they have: first what comes before.
  const auto by_position = [this](index a, index b) { return nodes_[a].position < nodes_[b].position; };
  std::sort(work_, work_ + after, by_position);
  std::sort(behind_, behind_ + before, by_position);
  std::uint32_t spots = 0;
  for (std::uint32_t i = 0; i < before; ++i) spots_[spots++] = nodes_[behind_[i]].position;
  for (std::uint32_t i = 0; i < after; ++i) spots_[spots++] = nodes_[work_[i]].position;
  std::sort(spots_, spots_ + spots);
  for (std::uint32_t i = 0; i < before; ++i) nodes_[behind_[i]].position = spots_[i];
  for (std::uint32_t i = 0; i < after; ++i) nodes_[work_[i]].position = spots_[before + i];
  return true;
}

// --- sightings (I3) ---

// Whether whatever b proves together with other edges, a proves as well if it is by another agent.
bool order_graph::covers(const sighting& a, const sighting& b) noexcept {
  if ((a.first_shared && !b.first_shared) || (a.second_shared && !b.second_shared)) return false;
  return std::all_of(a.held + 1, a.held + a.held_locks, [&](const held_lock& gate) {
    return std::any_of(b.held + 1, b.held + b.held_locks,
                       [&](const held_lock& same) { return same.lock == gate.lock && (gate.shared || !same.shared); });
  });
}

bool order_graph::note(edge_data& e, const sighting& seen) noexcept {
  unsigned by_others = 0;
  for (unsigned i = 0; i < e.sightings; ++i) {
    if (!covers(e.seen[i], seen)) continue;
    if (e.seen[i].by == seen.by || ++by_others == 2) return false;
  }
  unsigned kept = 0;
  for (unsigned i = 0; i < e.sightings; ++i) {
    if (e.seen[i].by == seen.by && covers(seen, e.seen[i])) continue;
    if (kept != i) e.seen[kept] = e.seen[i];
    ++kept;
  }
  e.sightings = static_cast<std::uint8_t>(kept);
  if (kept == max_sightings) return false;
  e.seen[e.sightings++] = seen;
  return true;
}

order_graph::index order_graph::add(index from, index to, const sighting& seen) noexcept {
  index e = find_edge(from, to);
  if (e == nothing) e = new_edge(from, to);
  if (e == nothing || edges_data_[e].told) return nothing;
  return note(edges_data_[e], seen) ? e : nothing;
}

// --- circles ---

// How far each node is from `to`; false if that cannot be reached from `from`.
bool order_graph::measure(index from, index to) noexcept {
  ++mark_;
  std::uint32_t end = 0;
  work_[end++] = to;
  nodes_[to].mark = mark_;
  nodes_[to].distance = 0;
  for (std::uint32_t i = 0; i < end; ++i) {
    const node_data& at = nodes_[work_[i]];
    if (at.distance == max_length - 1) break;
    for (index e = at.in; e != nothing; e = edges_data_[e].next_in) {
      node_data& next = nodes_[edges_data_[e].from];
      if (edges_data_[e].told || next.mark == mark_) continue;
      next.mark = mark_;
      next.distance = static_cast<std::uint16_t>(at.distance + 1);
      work_[end++] = edges_data_[e].from;
    }
  }
  return nodes_[from].mark == mark_;
}

struct order_graph::search {
  order_graph& graph;
  index start;             // where the circle closes
  std::uint32_t length;    // of the circle that is looked for
  std::uint32_t budget;    // steps left
  index path[max_length];  // edges
  const sighting* chosen[max_length];

  // path[0] to path[depth - 1] lead from `start` to `at`.
  bool walk(index at, std::uint32_t depth) noexcept {
    for (index e = graph.nodes_[at].out; e != nothing; e = graph.edges_data_[e].next_out) {
      if (graph.edges_data_[e].told || budget == 0) continue;
      --budget;
      const index to = graph.edges_data_[e].to;
      node_data& next = graph.nodes_[to];
      path[depth] = e;
      if (to == start) {
        if (depth + 1 == length && choose(0)) return true;
        continue;
      }
      if (next.mark != graph.mark_ || next.on_path || depth + 1 + next.distance > length) continue;
      next.on_path = true;
      const bool found = walk(to, depth + 1);
      next.on_path = false;
      if (found) return true;
    }
    return false;
  }

  // A sighting for each edge from `i` on, so that all of them could happen at once and hold each other up.
  bool choose(std::uint32_t i) noexcept {
    if (i == length) return hold_up(length - 1, 0) && !all_by_one();
    edge_data& e = graph.edges_data_[path[i]];
    for (unsigned k = 0; k < e.sightings && budget != 0; ++k) {
      --budget;
      chosen[i] = &e.seen[k];
      if (i != 0 && !hold_up(i - 1, i)) continue;
      bool apart = false;
      for (std::uint32_t j = 0; j < i && !apart; ++j) apart = kept_apart(*chosen[j], *chosen[i]);
      if (!apart && choose(i + 1)) return true;
    }
    return false;
  }

  // Whoever wants the lock in the one waits for whoever holds it in the other. A reader waits for another one only
  // behind a writer.
  [[nodiscard]] bool hold_up(std::uint32_t wants, std::uint32_t holds) const noexcept {
    if (!chosen[wants]->second_shared || !chosen[holds]->first_shared) return true;
    return graph.world_.is_written(graph.nodes_[graph.edges_data_[path[wants]].to].lock_class);
  }

  [[nodiscard]] bool kept_apart(const sighting& a, const sighting& b) const noexcept {
    for (unsigned i = 0; i < a.held_locks; ++i) {
      for (unsigned k = 0; k < b.held_locks; ++k) {
        if (a.held[i].lock != b.held[k].lock || (a.held[i].shared && b.held[k].shared)) continue;
        graph.world_.was_a_gate(a.held[i].lock_class);
        return true;
      }
    }
    return false;
  }

  [[nodiscard]] bool all_by_one() const noexcept {
    return std::all_of(chosen, chosen + length, [&](const sighting* each) { return each->by == chosen[0]->by; });
  }
};

bool order_graph::find_circle(index edge, circle& out) noexcept {
  constexpr std::uint32_t budget = 10'000;
  edge_data& first = edges_data_[edge];
  if (contrary_ == 0 || !first.used || first.told || !measure(first.to, first.from)) return false;
  search s{*this, first.from, 0, budget, {edge}, {}};
  bool found = false;
  nodes_[first.to].on_path = true;
  for (s.length = nodes_[first.to].distance + 1U; s.length <= max_length && !found; ++s.length) {
    found = s.walk(first.to, 1);
    if (found) break;
  }
  nodes_[first.to].on_path = false;
  if (!found) return false;

  std::uint32_t last = 0;
  for (std::uint32_t i = 1; i < s.length; ++i) {
    if (edges_data_[s.path[i]].order > edges_data_[s.path[last]].order) last = i;
  }
  out.length = s.length;
  for (std::uint32_t i = 0; i < s.length; ++i) {
    const std::uint32_t k = (last + 1 + i) % s.length;
    const edge_data& e = edges_data_[s.path[k]];
    out.steps[i] = {s.path[k], e.from, e.to, s.chosen[k]};
  }
  edge_data& blamed = edges_data_[s.path[last]];
  if (blamed.contrary) --contrary_;
  blamed.told = true;
  return true;
}

}  // namespace heddle::watch
