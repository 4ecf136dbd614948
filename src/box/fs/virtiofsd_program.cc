#include "box/fs/virtiofsd_program.h"

#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <iterator>

namespace sluice::box {
namespace {

// None of them is in a usual $PATH. Fedora, RHEL and Debian 13; Debian 12; Arch.
constexpr std::array<std::string_view, 3> kPlaces = {
    "/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/usr/lib/virtiofsd"};

[[nodiscard]] bool is_program(const std::string& path) { return ::access(path.c_str(), X_OK) == 0; }

}  // namespace

std::expected<VirtiofsdProgram, sys::SetupError> find_virtiofsd(std::string_view search_path) {
  while (!search_path.empty()) {
    const std::size_t end = std::min(search_path.find(':'), search_path.size());
    const std::string path = fmt::format("{}/virtiofsd", search_path.substr(0, end));
    search_path.remove_prefix(std::min(end + 1, search_path.size()));
    // A relative folder would be the caller's working directory.
    if (path.front() == '/' && is_program(path)) {
      return VirtiofsdProgram{path, virtiofsd_kind(path)};
    }
  }
  for (const std::string_view place : kPlaces) {
    const std::string path(place);
    if (is_program(path)) return VirtiofsdProgram{path, virtiofsd_kind(path)};
  }
  return std::unexpected(sys::SetupError{
      "virtiofsd, which serves files to the guest, is not installed", 0,
      "as root run: apt install virtiofsd (on Debian 12: apt install qemu-system-common)"});
}

// Only one of them has this option, and each has the names of its options in it.
VirtiofsdKind virtiofsd_kind(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(file), {}};
  return content.find("shared-dir") == std::string::npos ? VirtiofsdKind::kC : VirtiofsdKind::kRust;
}

std::vector<std::string> virtiofsd_command(const VirtiofsdProgram& program, int listener,
                                           const std::string& directory, VirtiofsdUser user) {
  if (program.kind == VirtiofsdKind::kRust) {
    // It makes its root another for the user 0 only.
    const std::string_view sandbox = user == VirtiofsdUser::kRoot ? "chroot" : "none";
    return {program.path,
            fmt::format("--fd={}", listener),
            fmt::format("--shared-dir={}", directory),
            fmt::format("--sandbox={}", sandbox),
            "--cache=auto",
            "--log-level=error",
            "--rlimit-nofile=0"};
  }
  return {program.path,
          fmt::format("--fd={}", listener),
          "-f",
          "-o",
          fmt::format("source={}", directory),
          "-o",
          "sandbox=chroot",
          "-o",
          "cache=auto",
          "-o",
          "log_level=err",
          "--rlimit-nofile=0"};
}

}  // namespace sluice::box
