#include <heddle/sys/sample.hpp>
#include <heddle/watch/internal/names.hpp>
#include <heddle/watch/internal/stalls.hpp>
#include <heddle/watch/internal/symbols.hpp>

#include <algorithm>

namespace heddle::watch {
namespace {

const park::agent_view* wait_of(const park::picture& seen, std::uint32_t thread) {
  const auto found = std::ranges::find_if(seen.agents, [&](const park::agent_view& each) {
    return each.waits && each.blocks_thread && each.wait.thread == thread;
  });
  return found != seen.agents.end() ? &*found : nullptr;
}

}  // namespace

std::vector<report> stalls::study(const std::vector<running_threads::one>& busy, const park::picture& seen,
                                  time_point now, const settings& wanted) {
  std::map<std::pair<std::uint32_t, const void*>, run> runs;
  std::vector<report> found;
  for (const running_threads::one& each : busy) {
    const std::pair id{each.thread, each.where};
    const auto before = runs_.find(id);
    run current =
        before != runs_.end() && before->second.items == each.items ? before->second : run{each.items, now, false};
    const auto age = now - current.since;
    const park::agent_view* const wait = wait_of(seen, each.thread);
    const bool is_a_wait = wait != nullptr && (wait->replaced || wait->wait.kind != agent::kind::task);
    if (!current.told && !is_a_wait && age >= wanted.stalls_after) {
      current.told = true;
      report& r = found.emplace_back();
      r.what = problem::stall;
      r.how_sure = confidence::certain;
      r.at = now;
      const std::string where = "a thread of '" + each.executor + "' (" + std::to_string(each.thread) + ')';
      if (wait != nullptr) {
        r.sentence = "Stall: " + who(wait->wait) + " blocks " + where + " since " + in_words(now - wait->wait.since) +
                     ", as it waits for " + watch::what(wait->wait) + " at " + wait->wait.site + '.';
        r.edges.emplace_back().wait = wait->wait;
        r.advice = "let the task wait with co_await (async_lock and the like), so that its thread can do other work.";
      } else {
        r.sentence = "Stall: " + where + " has run one item for at least " + in_words(age) + '.';
        const void* stack[48];
        if (const std::size_t n = sys::sample_stack(each.thread, stack); n != 0) {
          for (std::string& frame : places_of({stack, n})) r.details.push_back("in " + std::move(frame));
        }
        r.advice =
            "run it on a thread_pool of its own, or let it yield now and then; if it calls something that blocks, put "
            "a "
            "blocking_region around it.";
      }
    }
    runs.emplace(id, current);
  }
  runs_ = std::move(runs);
  return found;
}

}  // namespace heddle::watch
