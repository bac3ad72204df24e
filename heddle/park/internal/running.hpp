#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace heddle {

/// What the threads of all executors do.
class running_threads {
 public:
  struct one {
    std::uint32_t thread;  ///< the kernel's id
    std::string executor;
    const void* where;    ///< the executor's address: only to tell executors apart
    std::uint64_t items;  ///< items begun and ended: odd while one runs
  };

  /// Those who are in the middle of an item. Thread-safety: any thread.
  [[nodiscard]] static std::vector<one> busy();
};

}  // namespace heddle
