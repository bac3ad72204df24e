#include <heddle/sys/sleeping.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

namespace heddle::sys {

std::vector<std::uint32_t> threads_of_process() {
  std::vector<std::uint32_t> threads;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder{opendir("/proc/self/task"), &closedir};
  if (!folder) return threads;
  while (const dirent* entry = readdir(folder.get())) {
    if (const int id = std::atoi(entry->d_name); id > 0) threads.push_back(static_cast<std::uint32_t>(id));
  }
  return threads;
}

bool sleeps_until_woken(std::uint32_t thread) noexcept {
  char path[48];
  std::snprintf(path, sizeof path, "/proc/self/task/%u/syscall", thread);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  char text[256];
  const ssize_t size = read(file, text, sizeof text - 1);
  close(file);
  if (size <= 0) return false;
  text[size] = '\0';
  long number = 0;
  unsigned long address = 0;
  unsigned long operation = 0;
  unsigned long value = 0;
  unsigned long timeout = 0;
  if (std::sscanf(text, "%ld %lx %lx %lx %lx", &number, &address, &operation, &value, &timeout) != 5) return false;
  const unsigned long what = operation & static_cast<unsigned long>(FUTEX_CMD_MASK);
  return number == SYS_futex && timeout == 0 &&
         (what == FUTEX_WAIT || what == FUTEX_WAIT_BITSET || what == FUTEX_LOCK_PI || what == FUTEX_LOCK_PI2);
}

}  // namespace heddle::sys
