#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

/// A folder of one's own that goes with the program.
class scratch_folder {
 public:
  scratch_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "heddle-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error{"no scratch folder can be made in " + name};
    folder_ = name;
  }
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  ~scratch_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  [[nodiscard]] std::string path(const char* file) const { return (folder_ / file).string(); }

 private:
  std::filesystem::path folder_;
};
