#include "netns/attach/namespace_holders.h"

#include <dirent.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <charconv>
#include <fstream>
#include <memory>
#include <sstream>
#include <string_view>

namespace sluice::netns {
namespace {

// What stands behind the name, which may hold anything (proc(5)): state, parent.
std::optional<pid_t> parent_of(pid_t process, const std::string& proc) {
  std::ifstream file(fmt::format("{}/{}/stat", proc, process));
  std::string text;
  std::getline(file, text);
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream rest(text.substr(name_end + 1));
  char state = 0;
  pid_t parent = 0;
  if (!(rest >> state >> parent)) return std::nullopt;
  return parent;
}

std::optional<pid_t> number_of(std::string_view name) {
  pid_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return number;
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

}  // namespace

bool is_in(pid_t process, const NamespaceId& id, const std::string& proc) {
  struct stat status{};
  const std::string path = fmt::format("{}/{}/ns/net", proc, process);
  return ::stat(path.c_str(), &status) == 0 && NamespaceId{status.st_dev, status.st_ino} == id;
}

std::optional<pid_t> find_holder(const NamespaceId& id, pid_t ours, const std::string& proc) {
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(proc.c_str()));
  if (!directory) return std::nullopt;
  while (const dirent* const entry = ::readdir(directory.get())) {
    const auto process = number_of(entry->d_name);
    if (!process || *process == ours || !is_in(*process, id, proc)) continue;
    if (parent_of(*process, proc) != ours) return process;
  }
  return std::nullopt;
}

bool is_mounted(const NamespaceId& id, const std::string& mounts) {
  // The root of such a mount is its namespace's name (proc(5), field 4).
  const std::string name = fmt::format(" net:[{}] ", id.inode);
  std::ifstream file(mounts);
  std::string line;
  while (std::getline(file, line)) {
    if (line.contains(name) && line.contains(" - nsfs ")) return true;
  }
  return false;
}

}  // namespace sluice::netns
