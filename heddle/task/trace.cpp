#include <heddle/park/internal/frames_of.hpp>
#include <heddle/park/internal/picture.hpp>
#include <heddle/task/trace.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

namespace heddle {

std::string task_trace::text() const {
  std::string result;
  for (const std::string& each : park::frame_texts(places)) result += each + '\n';
  return result;
}

std::vector<suspended_task> suspended_tasks() {
  std::vector<suspended_task> found;
  park::picture all = park::picture::take();
  for (park::agent_view& each : all.agents) {
    if (!each.waits || each.blocks_thread || each.wait.kind != agent::kind::task) continue;
    found.push_back({std::move(each.wait), {}});
    found.back().trace.places = park::frames_of(found.back().wait.agent, each.generation);
  }
  std::ranges::sort(found, {}, [](const suspended_task& each) { return each.wait.since; });
  return found;
}

std::string dump_tasks() {
  const auto now = std::chrono::steady_clock::now();
  std::string text;
  for (const suspended_task& each : suspended_tasks()) {
    const park::wait_info& wait = each.wait;
    char since[32];
    std::snprintf(since, sizeof since, "%.1f ms", std::chrono::duration<double, std::milli>(now - wait.since).count());
    text += "task " + std::to_string(wait.agent);
    if (!wait.name.empty()) text += " '" + wait.name + '\'';
    text += " waits for " + std::string{to_string(wait.waits_for)} + " '" + wait.resource_name + "' since " + since;
    if (wait.holder != 0) text += ", held by agent " + std::to_string(wait.holder);
    text += ", at " + wait.site + '\n';
    for (const std::string& frame : park::frame_texts(each.trace.places)) text += "      " + frame + '\n';
  }
  return text;
}

task_trace this_task::trace_awaiter::await_resume() const { return {park::places_of_frames(innermost_)}; }

}  // namespace heddle
