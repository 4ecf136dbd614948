// The program that serves files to a guest: virtiofsd, of which there are two. Debian 12 has the
// one in C (package qemu-system-common), later systems the one in Rust (package virtiofsd); their
// command lines differ.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "sys/setup_error.h"

namespace sluice::box {

enum class VirtiofsdKind : std::uint8_t { kC, kRust };

struct VirtiofsdProgram {
  std::string path;
  VirtiofsdKind kind = VirtiofsdKind::kC;
  // It tells the guest of mounts in a tree unless that is forbidden. An overlay, whose lower layer
  // the tree may be, does not look into directories of which it is so told (Linux,
  // ovl_dentry_weird()).
  bool announces_mounts = false;
};

// In `search_path` (as $PATH has it), and where systems keep it beside that.
[[nodiscard]] std::expected<VirtiofsdProgram, sys::SetupError> find_virtiofsd(
    std::string_view search_path);
// The program that is found there, by what it has in it.
[[nodiscard]] VirtiofsdProgram virtiofsd_at(const std::string& path);

enum class VirtiofsdUser : std::uint8_t {
  kRoot,
  kOther,  // With a root's capabilities in a user namespace, but not its number.
};
// Serves one front-end that waits at the listening socket `listener`, and `directory`, which it
// makes its root where it can.
[[nodiscard]] std::vector<std::string> virtiofsd_command(const VirtiofsdProgram& program,
                                                         int listener, const std::string& directory,
                                                         VirtiofsdUser user);

}  // namespace sluice::box
