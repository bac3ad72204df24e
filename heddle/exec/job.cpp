#include <heddle/exec/job.hpp>
#include <heddle/exec/thread_pool.hpp>
#include <heddle/park/internal/slot.hpp>

#include <string>

namespace heddle {
namespace {

const char* text_of(job_refused::reason why) noexcept {
  switch (why) {
    case job_refused::reason::full: return "the pool's queue is full, and the job was rejected";
    case job_refused::reason::discarded: return "the job was discarded to make room for a newer one";
    case job_refused::reason::closed: return "the pool had been closed";
    case job_refused::reason::cancelled: return "nobody wanted the job's answer any more";
    case job_refused::reason::abandoned: break;
  }
  return "the pool was told to begin no more jobs";
}

}  // namespace

job_refused::job_refused(reason why) : std::runtime_error{text_of(why)}, why_{why} {}

namespace pools {

// The task's frame holds the job, so the wait must last until the worker is done with it: the stop of the task's context
// is looked at when the job's turn comes, and whatever else ends the wait is taken back.

run_wait::run_wait(thread_pool& pool, std::source_location site) noexcept
    : task_wait{park::resource::of(resource_kind::pool, &pool, pool.name()), deadline::never(), {}, site},
      pool_{pool} {}

bool run_wait::enqueue() noexcept {
  {
    park::queue_guard guard{waiting_};
    guard.push_back(node());
  }
  pool_.post_job(item_, true);  // it may end before this returns: the commit finds out
  return true;
}

park::task_wait::step run_wait::claimed(park::phase result) noexcept {
  if (result != park::phase::granted) {
    const park::queue_guard guard{waiting_};
    if (!done_) {
      rearm();
      return step::wait;
    }
  }
  return skipped_ ? step::unwind : step::resume;
}

void run_wait::item::call() noexcept {
  if (owner->context_->stop.stop_requested()) {
    owner->skipped_ = true;
  } else {
    owner->call();
  }
  owner->finish();
}

void run_wait::item::refuse(job_refused::reason why) noexcept {
  owner->fail(std::make_exception_ptr(job_refused{why}));
  owner->finish();
}

void run_wait::finish() noexcept {
  park::slot& task = node();
  bool won = false;
  {
    park::queue_guard guard{waiting_};
    done_ = true;
    won = park::claim(task);
    guard.remove(task);
  }
  if (won) park::publish(task, park::phase::granted);
}

}  // namespace pools
}  // namespace heddle
