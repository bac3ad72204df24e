// Program counters in words, through the debug information of the running process.
//
// State. One session of libdw for the process, made at first use, and the answers given so far; both under one lock,
//   which is held while debug information is read. Only those who want words wait for it: reports, never a primitive.
//   Around fork(2) it is held, so that the child finds it free.
// Answers are dropped when a shared object is loaded or unloaded, as addresses may then mean something else.
// Rejected. libdw's standard search for separate debug information: it may ask a server.

#include <heddle/park/internal/place.hpp>
#include <heddle/park/internal/small_lock.hpp>
#include <heddle/sys/code.hpp>
#include <heddle/sys/identity.hpp>
#include <heddle/sys/thread.hpp>
#include <heddle/watch/internal/symbols.hpp>

#include <cxxabi.h>
#include <dwarf.h>
#include <elfutils/libdwfl.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <ranges>
#include <source_location>
#include <string_view>
#include <unordered_map>

namespace heddle::watch {
namespace {

struct frame {
  std::string file;  // empty: not known
  unsigned line = 0;
  std::string function;
};

struct freed {
  void operator()(void* memory) const noexcept { std::free(memory); }
};

std::string demangled(const char* name) {
  int status = 0;
  const std::unique_ptr<char, freed> text{abi::__cxa_demangle(name, nullptr, nullptr, &status)};
  return status == 0 ? std::string{text.get()} : std::string{name};
}

bool is_systems(std::string_view file) noexcept {
  return file.find("/include/c++/") != std::string_view::npos || file.starts_with("/usr/include/") ||
         file.starts_with("/usr/local/include/") || file.starts_with("/usr/lib/");
}

// heddle's sources where it was built, and its headers where it is installed; its tests are users.
bool is_heddles(std::string_view file) noexcept {
  constexpr std::string_view here = "watch/internal/symbols.cpp";
  std::string_view root = std::source_location::current().file_name();
  root.remove_suffix(here.size());
  if (!file.starts_with(root) && file.find("/include/heddle/") == std::string_view::npos) return false;
  return !file.ends_with(".test.cpp") && !file.ends_with(".bench.cpp");
}

bool is_users(const frame& at) noexcept { return !is_systems(at.file) && !is_heddles(at.file); }

// As it is included: "bits/std_mutex.h".
std::string_view systems_header(std::string_view file) noexcept {
  if (const std::size_t at = file.rfind("/include/c++/"); at != std::string_view::npos) {
    file.remove_prefix(at + 13);  // what follows begins with the library's version
    return file.substr(std::min(file.find('/') + 1, file.size()));
  }
  const std::size_t at = file.rfind("/include/");
  return at != std::string_view::npos ? file.substr(at + 9) : file;
}

std::string in_words(const frame& at) {
  std::string text = park::place_text(is_systems(at.file) ? systems_header(at.file) : at.file, at.line);
  if (at.line == 0) text.resize(text.size() - std::string_view{":0"}.size());  // the compiler merged several lines
  if (!at.function.empty()) text += " (" + at.function + ')';
  return text;
}

std::string function_name(Dwarf_Die* die) {
  Dwarf_Attribute attribute;
  if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute) != nullptr) {
    if (const char* linkage = dwarf_formstring(&attribute); linkage != nullptr) return short_name(demangled(linkage));
  }
  const char* name = dwarf_diename(die);
  return name != nullptr ? short_name(name) : std::string{};
}

unsigned number(Dwarf_Die* die, unsigned which) noexcept {
  Dwarf_Attribute attribute;
  Dwarf_Word value = 0;
  if (dwarf_attr(die, which, &attribute) == nullptr || dwarf_formudata(&attribute, &value) != 0) return 0;
  return static_cast<unsigned>(value);
}

// Compilers need not write an index of addresses, and Clang does not.
Dwarf_Die* unit_of(Dwfl_Module* module, Dwarf_Addr address, Dwarf_Addr& bias) noexcept {
  if (Dwarf_Die* unit = dwfl_module_addrdie(module, address, &bias); unit != nullptr) return unit;
  Dwarf_Die* unit = nullptr;
  while ((unit = dwfl_module_nextcu(module, unit, &bias)) != nullptr) {
    if (dwarf_haspc(unit, address - bias) == 1) return unit;
  }
  return nullptr;
}

// Adds the inlined calls that the address lies in, the outermost first; false: it lies in no function of `parent`. (Not
// dwarf_getscopes: it does not look into namespaces.)
bool find_inlined(Dwarf_Die& parent, Dwarf_Addr address, std::vector<Dwarf_Die>& inlined) {
  Dwarf_Die child;
  if (dwarf_child(&parent, &child) != 0) return false;
  do {
    const int tag = dwarf_tag(&child);
    const bool is_call = tag == DW_TAG_inlined_subroutine;
    if (tag == DW_TAG_namespace) {
      if (find_inlined(child, address, inlined)) return true;
    } else if ((is_call || tag == DW_TAG_subprogram || tag == DW_TAG_lexical_block) &&
               dwarf_haspc(&child, address) == 1) {
      if (is_call) inlined.push_back(child);
      find_inlined(child, address, inlined);
      return true;
    }
  } while (dwarf_siblingof(&child, &child) == 0);
  return false;
}

class session {
 public:
  static session& get() {
    static session& only = *new session;
    return only;
  }

  std::string place(const void* return_address) {
    const std::lock_guard hold{lock_};
    refresh();
    if (const auto known = places_.find(return_address); known != places_.end()) return known->second;
    std::string text = describe(return_address);
    if (places_.size() >= most_kept) places_.clear();
    places_.emplace(return_address, text);
    return text;
  }

  std::vector<std::string> stack(std::span<const void* const> return_addresses) {
    const std::lock_guard hold{lock_};
    refresh();
    std::vector<std::string> users;
    std::vector<std::string> all;
    for (const void* each : return_addresses) {
      if (is_runtimes(each)) continue;
      for (const frame& at : frames(each)) {
        if (at.file.empty()) {
          if (!is_a_beginning(at.function)) users.push_back(object_text(each, at.function));
          continue;
        }
        all.push_back(in_words(at));
        if (is_users(at)) users.push_back(all.back());
      }
    }
    return users.empty() ? all : users;
  }

 private:
  static constexpr std::size_t most_kept = 4096;

  session() {
    sys::at_fork([] { get().lock_.lock(); }, [] { get().lock_.unlock(); }, [] { get().lock_.unlock(); });
  }

  // Says anew what is loaded, if that has changed.
  void refresh() {
    const std::uint64_t now = sys::loaded_objects_version();
    if (debug_ != nullptr && now == version_) return;
    version_ = now;
    places_.clear();
    static const Dwfl_Callbacks callbacks{dwfl_linux_proc_find_elf, dwfl_build_id_find_debuginfo, nullptr, nullptr};
    if (debug_ == nullptr) debug_ = dwfl_begin(&callbacks);
    if (debug_ == nullptr) return;
    dwfl_report_begin(debug_);
    dwfl_linux_proc_report(debug_, static_cast<pid_t>(sys::process_id()));
    dwfl_report_end(debug_, nullptr, nullptr);
  }

  // The calls inlined into each other at this address, the innermost first; at least one.
  std::vector<frame> frames(const void* return_address) {
    const Dwarf_Addr address = reinterpret_cast<Dwarf_Addr>(return_address) - 1;  // of the call, not what follows it
    Dwfl_Module* const module = debug_ != nullptr ? dwfl_addrmodule(debug_, address) : nullptr;
    if (module == nullptr) return {frame{}};
    std::vector<frame> result(1);
    Dwarf_Addr bias = 0;
    Dwarf_Die* const unit = unit_of(module, address, bias);
    if (unit != nullptr) {
      if (Dwarf_Line* line = dwarf_getsrc_die(unit, address - bias); line != nullptr) {
        int number_of_line = 0;
        const char* file = dwarf_linesrc(line, nullptr, nullptr);
        if (file != nullptr && dwarf_lineno(line, &number_of_line) == 0) {
          result.back().file = file;
          result.back().line = static_cast<unsigned>(number_of_line);
        }
      }
      add_inlined(unit, address - bias, result);
    }
    if (result.back().function.empty()) {
      if (const char* name = dwfl_module_addrname(module, address); name != nullptr) {
        result.back().function = short_name(demangled(name));
      }
    }
    return result;
  }

  static void add_inlined(Dwarf_Die* unit, Dwarf_Addr address, std::vector<frame>& result) {
    std::vector<Dwarf_Die> inlined;
    Dwarf_Files* files = nullptr;
    std::size_t file_count = 0;
    if (!find_inlined(*unit, address, inlined) || dwarf_getsrcfiles(unit, &files, &file_count) != 0) return;
    for (Dwarf_Die& call : std::views::reverse(inlined)) {
      result.back().function = function_name(&call);
      const unsigned file = number(&call, DW_AT_call_file);
      const char* path = file < file_count ? dwarf_filesrc(files, file, nullptr, nullptr) : nullptr;
      result.push_back({path != nullptr ? path : "", number(&call, DW_AT_call_line), {}});
    }
  }

  std::string describe(const void* return_address) {
    const std::vector<frame> calls = frames(return_address);
    if (calls.back().file.empty()) return object_text(return_address, calls.back().function);
    for (const frame& each : calls) {
      if (is_users(each)) return in_words(each);
    }
    return in_words(calls.back());
  }

  static std::string object_text(const void* return_address, std::string function) {
    const sys::code_place at = sys::find_code(static_cast<const char*>(return_address) - 1);
    char offset[32];
    std::snprintf(offset, sizeof offset, "0x%zx", at.offset + (at.object.empty() ? 0 : 1));
    if (at.object.empty()) return offset;
    if (function.empty() && !at.symbol.empty()) function = short_name(demangled(at.symbol.c_str()));
    std::string text = at.object.substr(at.object.rfind('/') + 1) + '+' + offset;
    if (!function.empty()) text += " (" + function + ')';
    return text;
  }

  // Of no use in a stack: the standard library, and what starts threads and programs.
  static bool is_runtimes(const void* return_address) {
    const std::string object = sys::find_code(static_cast<const char*>(return_address) - 1).object;
    const std::string_view file = std::string_view{object}.substr(object.rfind('/') + 1);
    return std::ranges::any_of(std::array<std::string_view, 4>{"libc.so", "libstdc++.so", "libc++.so", "ld-linux"},
                               [&](std::string_view runtime) { return file.starts_with(runtime); });
  }
  static bool is_a_beginning(std::string_view function) noexcept {
    return function.starts_with('_') || function.starts_with("asan_");
  }

  park::small_lock lock_;
  Dwfl* debug_ = nullptr;
  std::uint64_t version_ = 0;
  std::unordered_map<const void*, std::string> places_;
};

// --- shortening ---

// One past the bracket that closes the one at `open`.
std::size_t closed(std::string_view text, std::size_t open) noexcept {
  int depth = 0;
  for (std::size_t i = open; i < text.size(); ++i) {
    if (std::string_view{"(<{["}.find(text[i]) != std::string_view::npos) ++depth;
    if (std::string_view{")>}]"}.find(text[i]) != std::string_view::npos && --depth == 0) return i + 1;
  }
  return text.size();
}

}  // namespace

std::string short_name(const std::string& demangled_name) {
  const std::string_view text = demangled_name;
  std::vector<std::string> parts(1);
  for (std::size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    if (rest.starts_with("::")) {
      parts.emplace_back();
      i += 2;
    } else if (parts.back().empty() && rest.starts_with("operator")) {
      // An operator's name runs up to its parameters; operator() has the first pair of brackets in its name.
      const std::size_t end = rest.starts_with("operator()") ? 10 : std::min(rest.find('('), rest.size());
      parts.back() = rest.substr(0, end);
      i += end;
    } else if (rest.starts_with("(anonymous namespace)")) {
      i += 21;
    } else if (text[i] == '(' || text[i] == '<' || text[i] == '[') {  // parameters, template arguments, ABI tags
      i = closed(text, i);
      if (rest.front() == '(' && text.find("::", i) == std::string_view::npos) break;
    } else if (text[i] == '{') {
      parts.back() += "lambda";
      i = closed(text, i);
    } else if (text[i] == ' ') {  // behind a type that is returned; or before `const`, between parameters and `::`
      if (!rest.starts_with(" const") && !rest.starts_with(" volatile")) parts.back().clear();
      i = rest.starts_with(" const") ? i + 6 : rest.starts_with(" volatile") ? i + 9 : i + 1;
    } else {
      parts.back() += text[i++];
    }
  }
  const std::size_t n = parts.size();
  if (parts.back() == "operator()" && n >= 2) {
    const std::string& of = parts[n - 2];
    if (of != "lambda" && !of.starts_with("$_") && !of.starts_with("'lambda")) return of + "::operator()";
    return n >= 3 && !parts[n - 3].empty() ? "lambda in " + parts[n - 3] : "lambda";
  }
  return parts.back();
}

std::string place_of(const void* return_address) noexcept try {
  return return_address == nullptr ? std::string{} : session::get().place(return_address);
} catch (...) {
  return {};
}

std::vector<std::string> places_of(std::span<const void* const> stack) noexcept try {
  return session::get().stack(stack);
} catch (...) {
  return {};
}

}  // namespace heddle::watch
