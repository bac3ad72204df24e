#include <heddle/sync/mutex.hpp>

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <mutex>

namespace heddle {
namespace {

void be_agents_of_both() {
  mutex own;
  const std::lock_guard guard{own};
  void* const object = dlopen(HEDDLE_SECOND_COPY, RTLD_NOW | RTLD_LOCAL);
  if (object == nullptr) std::abort();
  const auto be_an_agent = reinterpret_cast<std::uint32_t (*)()>(dlsym(object, "be_an_agent"));
  (void)be_an_agent();
}

TEST(second_copy, is_refused_with_the_reason) {
  EXPECT_DEATH(be_agents_of_both(), "two copies of heddle are linked into this process");
}

}  // namespace
}  // namespace heddle
