#include <heddle/task/task.hpp>

namespace heddle::tasks {

// A chain that has been started is in no queue as the item that starts it, so it serves again.
void chain::resume_later(std::coroutine_handle<> next_one) noexcept {
  later_ = next_one;
  run = [](work_item* item) noexcept {
    auto& whole = *static_cast<chain*>(item);
    const agent_scope scope{whole.self_};
    whole.self_.begin_turn();
    whole.later_.resume();
  };
  self_.runs_on()->post_last(*this);
}

}  // namespace heddle::tasks
