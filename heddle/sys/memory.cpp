#include <heddle/base/fatal.hpp>
#include <heddle/sys/memory.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace heddle::sys {

void* reserve_private(std::size_t bytes) noexcept {
  void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) fatal("the system refuses address space for the table of agents");
  return address;
}

void prefer_huge_pages(void* address, std::size_t bytes) noexcept {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(address) + page - 1) / page * page;
  const auto end = (reinterpret_cast<std::uintptr_t>(address) + bytes) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);  // else small ones do
}

shared_mapping map_memory_file(const char* name, std::size_t bytes) noexcept {
  const int descriptor = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptor < 0) fatal("memfd_create failed: the table of agents needs a memory file");
  if (ftruncate(descriptor, static_cast<off_t>(bytes)) != 0) fatal("the system refuses to size the table of agents");
  // A reader in another process need not fear that a page goes under its eyes.
  if (fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    fatal("the system refuses to seal the table of agents");
  }
  void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
  if (address == MAP_FAILED) fatal("the system refuses to map the table of agents");
  return {address, descriptor};
}

void move_mapping(void* from, std::size_t bytes, void* to) noexcept {
  if (mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to) {
    fatal("the system refuses to move the table of agents");
  }
}

void close_memory_file(int descriptor) noexcept { close(descriptor); }

}  // namespace heddle::sys
