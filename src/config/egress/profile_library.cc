#include "config/egress/profile_library.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace sluice::config {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEnding = ".toml";

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// Of a variable; empty if it is not set or not a whole path.
fs::path folder_of(const char* variable) {
  const char* const value = std::getenv(variable);
  const fs::path path(value != nullptr ? value : "");
  return path.is_absolute() ? path : fs::path{};
}

}  // namespace

ProfileLibrary ProfileLibrary::of_this_host() {
  std::vector<std::string> folders;
  fs::path settings = folder_of("XDG_CONFIG_HOME");
  if (settings.empty()) {
    const fs::path home = folder_of("HOME");
    if (!home.empty()) settings = home / ".config";
  }
  if (!settings.empty()) folders.push_back(settings / "sluice" / "profiles");
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) {
    const fs::path folder = program.parent_path();
    // build/debug/sluice of a source tree.
    if (is_there(folder / "CMakeCache.txt")) {
      folders.push_back((folder / "../../data/profiles").lexically_normal());
    }
    folders.push_back((folder / "../share/sluice/profiles").lexically_normal());
  }
  return ProfileLibrary(std::move(folders));
}

bool ProfileLibrary::is_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

std::optional<std::string> ProfileLibrary::find(std::string_view name) const {
  if (!is_name(name)) return std::nullopt;
  for (const std::string& folder : folders_) {
    const fs::path path = fs::path(folder) / (std::string(name) + std::string(kEnding));
    if (is_there(path)) return path.string();
  }
  return std::nullopt;
}

std::vector<std::string> ProfileLibrary::names() const {
  std::vector<std::string> names;
  for (const std::string& folder : folders_) {
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
      const fs::path& path = entry.path();
      if (path.extension() == kEnding && is_name(path.stem().string())) {
        names.push_back(path.stem().string());
      }
    }
  }
  std::ranges::sort(names);
  const auto repeated = std::ranges::unique(names);
  names.erase(repeated.begin(), repeated.end());
  return names;
}

}  // namespace sluice::config
