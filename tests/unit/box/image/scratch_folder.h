// A folder of a test's own, and files in it.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace sluice::box {

class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sluice-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() { std::filesystem::remove_all(path_); }

  [[nodiscard]] std::string path(std::string_view name = "") const {
    return name.empty() ? path_ : path_ + "/" + std::string(name);
  }
  // Folders above it are made.
  void file(std::string_view name, std::string_view text) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    std::ofstream(path(name), std::ios::binary) << text;
  }
  void program(std::string_view name, std::string_view text) const {
    file(name, text);
    std::filesystem::permissions(path(name), std::filesystem::perms::owner_all);
  }

 private:
  std::string path_;
};

// A kernel file that has nothing but its version.
inline std::string fake_bzimage(std::string_view version) {
  std::string file(0x300, '\0');
  file.replace(0x202, 4, "HdrS");
  file[0x20e] = '\x80';  // Counts from 0x200.
  file.replace(0x280, version.size() + 8, std::string(version) + " (us) #1");
  return file;
}

// A module file that needs others.
inline std::string fake_module(std::string_view depends) {
  using namespace std::string_literals;
  return "\x7f"
         "ELF\0license=GPL\0depends="s +
         std::string(depends) + "\0name=x\0"s;
}

}  // namespace sluice::box
