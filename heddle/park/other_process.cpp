#include <heddle/park/internal/place.hpp>
#include <heddle/park/internal/record_view.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/park/other_process.hpp>
#include <heddle/sys/other_process.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <span>
#include <system_error>
#include <unordered_map>

namespace heddle::park {
namespace {

constexpr int attempts = 8;
constexpr std::size_t longest_text = 256;

read_error reason(std::error_code why) noexcept {
  if (why == std::errc::no_such_process) return read_error::no_such_process;
  if (why == std::errc::permission_denied || why == std::errc::operation_not_permitted)
    return read_error::not_permitted;
  if (why == std::errc::no_such_file_or_directory) return read_error::no_agents;
  if (why == std::errc::not_supported) return read_error::other_version;
  return read_error::unreadable;
}

std::string printable(std::string text) {
  std::ranges::replace_if(text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }, '?');
  return text;
}

// What a std::source_location points to, in libstdc++ and libc++ alike.
struct place_there {
  std::uint64_t file;
  std::uint64_t function;
  std::uint32_t line;
  std::uint32_t column;
};

// The memory of the other process. Texts are kept, as many agents wait at few places.
class memory_there {
 public:
  explicit memory_there(std::uint32_t process) noexcept : process_{process} {}

  template <class T>
  [[nodiscard]] std::optional<T> read(std::uint64_t address) const noexcept {
    std::array<std::byte, sizeof(T)> bytes{};
    if (sys::read_memory_of(process_, address, bytes) != bytes.size()) return std::nullopt;
    return std::bit_cast<T>(bytes);
  }

  // A name as it is compiled in there; empty if it cannot be read.
  const std::string& name(std::uint64_t address) {
    const auto [entry, is_new] = names_.try_emplace(address);
    if (is_new) entry->second = text(address);
    return entry->second;
  }

  // Where a source location there says it is.
  const std::string& place(std::uint64_t address) {
    const auto [entry, is_new] = places_.try_emplace(address);
    if (!is_new) return entry->second;
    if (const auto there = read<place_there>(address)) {
      if (const std::string file = text(there->file); !file.empty()) entry->second = place_text(file, there->line);
    }
    return entry->second;
  }

  const std::string& name_or_place(std::uint64_t address, bool named) { return named ? name(address) : place(address); }

 private:
  [[nodiscard]] std::string text(std::uint64_t address) const {
    std::array<char, longest_text> buffer{};
    const std::size_t count = sys::read_memory_of(process_, address, std::as_writable_bytes(std::span{buffer}));
    return printable({buffer.data(), ::strnlen(buffer.data(), count)});
  }

  std::uint32_t process_;
  std::unordered_map<std::uint64_t, std::string> names_;
  std::unordered_map<std::uint64_t, std::string> places_;
};

resource_kind kind_there(resource_kind told) noexcept { return is_known(told) ? told : resource_kind::other; }

// The tables of the other process.
class tables_there {
 public:
  explicit tables_there(const sys::foreign_mapping& mapping) noexcept : mapping_{mapping} {}
  ~tables_there() { sys::unmap(mapping_); }
  tables_there(const tables_there&) = delete;
  tables_there& operator=(const tables_there&) = delete;

  [[nodiscard]] bool has_this_version() const noexcept {
    return mapping_.bytes == record_file_size && head().is.load(std::memory_order_acquire) == file_head::magic &&
           head().written_in.load(std::memory_order_relaxed) == file_head::version &&
           head().records.load(std::memory_order_relaxed) == max_slots;
  }
  [[nodiscard]] std::uint32_t end() const noexcept {
    return std::min(head().end.load(std::memory_order_acquire), max_slots);
  }

  // The first index from `index` on whose record has been written, as far as pages tell.
  [[nodiscard]] std::uint32_t next_written(std::uint32_t index) const noexcept {
    constexpr std::size_t page = 4096;
    const std::size_t at = index * sizeof(record);
    if (at % page != 0) return index;
    return static_cast<std::uint32_t>(
        std::min(sys::next_with_memory(mapping_, at) / sizeof(record), std::size_t{max_slots}));
  }

  enum class reading : std::uint8_t { no_agent, read, torn };
  [[nodiscard]] reading read(std::uint32_t index, memory_there& memory, agent_info& out) const {
    const record& r = records()[index];
    for (int i = 0; i < attempts; ++i) {
      record_view seen;
      if (!read_record(r, seen)) continue;
      if (!seen.is_agent()) return reading::no_agent;
      out = {};
      seen.tell(index, out.wait);
      if (out.wait.kind > agent::kind::task) return reading::torn;
      out.wait.name = printable(std::move(out.wait.name));
      out.waits = seen.waits();
      if (out.waits) {
        out.wait.waits_for = kind_there(out.wait.waits_for);
        out.wait.resource_name = memory.name_or_place(seen.made, seen.named());
        out.wait.site = memory.place(seen.site);
        out.wait.holder = holder(seen, memory);
      }
      read_holds(index, memory, out);
      if (r.sequence.load(std::memory_order_acquire) == seen.sequence) return reading::read;
    }
    return reading::torn;
  }

 private:
  [[nodiscard]] const record* records() const noexcept { return static_cast<const record*>(mapping_.address); }
  [[nodiscard]] const file_head& head() const noexcept { return *static_cast<const file_head*>(mapping_.address); }

  // As it is now; as it was when the wait began if the lock's memory must not be read.
  [[nodiscard]] std::uint32_t holder(const record_view& seen, const memory_there& memory) const noexcept {
    if (seen.owner_word == 0) return 0;
    const std::uint64_t address = seen.owner_word & ((1ULL << 56U) - 1);
    const auto shift = static_cast<unsigned>(seen.owner_word >> 56U) % 32;
    const auto word = memory.read<std::uint32_t>(address);
    const std::uint32_t told = word ? *word >> shift : seen.owner;
    return told < end() ? told : 0;
  }

  void read_holds(std::uint32_t index, memory_there& memory, agent_info& out) const {
    const auto* const lists = reinterpret_cast<const hold_list*>(records() + max_slots);
    hold now[hold_list::capacity];
    const int n = lists[index].read(now);
    for (int i = 0; i < n; ++i) {
      const held_as how = now[i].how;
      out.holds.push_back({now[i].lock, kind_there(how.kind()),
                           memory.name_or_place(std::bit_cast<std::uint64_t>(how.made()), how.named()), how.mode(),
                           now[i].taken_at});
    }
  }

  sys::foreign_mapping mapping_;
};

}  // namespace

std::string_view to_string(read_error why) noexcept {
  switch (why) {
    case read_error::no_such_process: return "there is no such process";
    case read_error::not_permitted: return "looking into the process is not permitted";
    case read_error::no_agents: return "the process does not use heddle";
    case read_error::other_version: return "the process uses another version of heddle";
    case read_error::unreadable: return "the system has no room to map the agents of the process";
  }
  return "unknown";
}

std::expected<process_snapshot, read_error> read_agents_of(std::uint32_t process) {
  const auto mapping = sys::map_memory_file_of(process, record_file_name, record_file_size);
  if (!mapping) return std::unexpected{reason(mapping.error())};
  const tables_there tables{*mapping};
  if (!tables.has_this_version()) return std::unexpected{read_error::other_version};
  memory_there memory{process};
  process_snapshot result;
  const std::uint32_t end = tables.end();
  for (std::uint32_t index = 1; (index = tables.next_written(index)) < end; ++index) {
    agent_info agent;
    switch (tables.read(index, memory, agent)) {
      case tables_there::reading::no_agent: break;
      case tables_there::reading::read: result.agents.push_back(std::move(agent)); break;
      case tables_there::reading::torn: ++result.torn; break;
    }
  }
  return result;
}

}  // namespace heddle::park
