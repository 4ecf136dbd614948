#include "sys/waypoints.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <optional>
#include <string_view>

namespace sluice::sys {
namespace {

// The names of a path that are still ahead, the next one last.
void push_names(std::vector<std::string>& ahead, std::string_view path) {
  std::vector<std::string> names;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    if (slash != 0 && path.substr(0, slash) != ".") names.emplace_back(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  ahead.insert(ahead.end(), names.rbegin(), names.rend());
}

// "/" is the root, "" where a relative path begins.
[[nodiscard]] std::string in(const std::string& directory, const std::string& name) {
  return directory.empty() || directory == "/" ? directory + name : directory + "/" + name;
}

void note(std::vector<Waypoint>& found, const std::string& directory, bool decides) {
  const std::string name = directory.empty() ? "." : directory;
  const auto known = std::ranges::find(found, name, &Waypoint::directory);
  if (known != found.end()) {
    known->decides |= decides;
  } else if (found.size() < kWaypointsMax) {
    found.push_back({.directory = name, .decides = decides});
  }
}

// Where a link leads; nothing for what is none. `errno` is ENOENT where there is nothing.
[[nodiscard]] std::optional<std::string> target_of(const std::string& path) {
  std::array<char, PATH_MAX> target;
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  if (length <= 0) return std::nullopt;
  return std::string(target.data(), static_cast<std::size_t>(length));
}

}  // namespace

std::vector<Waypoint> waypoints(const std::string& path) {
  std::vector<Waypoint> found;
  std::vector<std::string> ahead;
  push_names(ahead, path);
  std::string at = path.starts_with('/') ? "/" : "";
  int links = 0;
  while (!ahead.empty()) {
    const std::string next = in(at, ahead.back());
    ahead.pop_back();
    const auto target = target_of(next);
    if (target) {
      note(found, at, true);
      if (++links > kLinksMax) break;
      if (target->starts_with('/')) at = "/";
      push_names(ahead, *target);
      continue;
    }
    const bool is_there = errno == EINVAL;  // And no link.
    note(found, at, !is_there || ahead.empty());
    if (!is_there) break;
    at = next;
  }
  return found;
}

std::vector<std::string> deciding_directories(const std::string& path) {
  std::vector<std::string> directories;
  for (Waypoint& point : waypoints(path)) {
    if (point.decides) directories.push_back(std::move(point.directory));
  }
  return directories;
}

}  // namespace sluice::sys
