// What to watch (inotify(7)) in order to know when a path leads to another file: one that was
// renamed over it, or reached by a link that was exchanged, be it a folder's on the way.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::sys {

struct Waypoint {
  std::string directory;
  // An entry of it decides: a link on the way, the file itself, or what is not there (yet). Else it
  // is passed through, and all that matters is that it stays in its place.
  bool decides = false;
  friend bool operator==(const Waypoint&, const Waypoint&) = default;
};

// As many links as the kernel follows: path_resolution(7).
inline constexpr int kLinksMax = 40;
// More directories than this are not watched.
inline constexpr std::size_t kWaypointsMax = 128;

// Of a path that leads nowhere: as far as it leads. Each directory once, without ends in links.
[[nodiscard]] std::vector<Waypoint> waypoints(const std::string& path);

// The directories whose entries decide.
[[nodiscard]] std::vector<std::string> deciding_directories(const std::string& path);

}  // namespace sluice::sys
