// What the guest sees of the system's files: a few texts of our own under /etc, its own /sys, and
// /proc where it has a PID namespace. Seen in the calling process's mount namespace only; contents
// live in a tmpfs that ends with it.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <vector>

#include "sys/setup_error.h"

namespace sluice::netns {

inline constexpr const char* kResolvConfPath = "/etc/resolv.conf";

// A file that the guest sees in the place of the system's.
struct GuestFile {
  std::string path;  // Absolute.
  std::string text;
};

// Makes every mount a slave, so that nothing mounted later propagates to the outside. Call it
// first, in a fresh mount namespace.
[[nodiscard]] std::expected<void, sys::SetupError> isolate_mounts();

enum class EtcView : std::uint8_t {
  // /etc as a whole is an overlay, read-only, of our files over the system's. Whatever is renamed
  // or
  // removed outside, ours stay, and those that the system lacks are there. For who cannot write
  // there anyway; where there can be none, as the next.
  kOverlay,
  // Each file is mounted over the system's. It must exist, and the mount goes when somebody outside
  // renames another file over it (guest_files_keeper.h); the rest of /etc stays writable.
  kFiles,
};

struct ShownFiles {
  std::vector<sys::SetupError> missing;  // What could not be had; the guest then sees the system's.
  std::vector<GuestFile> one_by_one;     // Those whose mounts changes outside can take away.
};

// Needs isolate_mounts() before it.
[[nodiscard]] ShownFiles show_files(std::span<const GuestFile> files, EtcView view);

// One of those: mounts it over the system's; and whether something is.
[[nodiscard]] std::expected<void, sys::SetupError> cover_file(const GuestFile& file);
[[nodiscard]] bool is_covered(const GuestFile& file);

// Puts an empty folder, read-only, over one of the system's. The command, which has no rights in
// its namespace, cannot take it away, nor can what it becomes root of in one more.
[[nodiscard]] std::expected<void, sys::SetupError> hide_folder(const std::string& path);

// A sysfs of the caller's network namespace over /sys, with what was mounted in there before: its
// /sys/class/net has the guest's interfaces.
[[nodiscard]] std::expected<void, sys::SetupError> show_own_sys();

// A proc of the caller's PID namespace.
[[nodiscard]] std::expected<void, sys::SetupError> show_own_proc();

}  // namespace sluice::netns
