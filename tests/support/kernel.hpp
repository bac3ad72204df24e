#pragma once

#include <cstdint>
#include <fstream>
#include <string>

/// What the kernel says of this process's threads.
namespace heddle::test {

/// Whether the thread with the kernel's id sleeps, so that it is neither running nor wants to.
[[nodiscard]] inline bool sleeps_in_the_kernel(std::uint32_t thread) {
  std::ifstream file{"/proc/self/task/" + std::to_string(thread) + "/stat"};
  std::string line;
  std::getline(file, line);
  const std::size_t name_ends = line.rfind(')');
  return name_ends != std::string::npos && name_ends + 2 < line.size() && line[name_ends + 2] == 'S';
}

}  // namespace heddle::test
