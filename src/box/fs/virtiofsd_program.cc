#include "box/fs/virtiofsd_program.h"

#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <fstream>

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
      return virtiofsd_at(path);
    }
  }
  for (const std::string_view place : kPlaces) {
    const std::string path(place);
    if (is_program(path)) return virtiofsd_at(path);
  }
  return std::unexpected(sys::SetupError{
      "virtiofsd, which serves files to the guest, is not installed", 0,
      "as root run: apt install virtiofsd (on Debian 12: apt install qemu-system-common)"});
}

// Only one of them has the first option, and later ones of that the second; each has the names of
// its options in it.
VirtiofsdProgram virtiofsd_at(const std::string& path) {
  std::string content;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (file) {
    content.resize(static_cast<std::size_t>(file.tellg()));
    file.seekg(0);
    file.read(content.data(), static_cast<std::streamsize>(content.size()));
  }
  const auto has = [&](std::string_view option) { return content.find(option) != content.npos; };
  return {.path = path,
          .kind = has("shared-dir") ? VirtiofsdKind::kRust : VirtiofsdKind::kC,
          .announces_mounts = has("no-announce-submounts")};
}

std::vector<std::string> virtiofsd_command(const VirtiofsdProgram& program, int listener,
                                           const std::string& directory, VirtiofsdUser user) {
  if (program.kind == VirtiofsdKind::kRust) {
    // It makes its root another for the user 0 only.
    const std::string_view sandbox = user == VirtiofsdUser::kRoot ? "chroot" : "none";
    std::vector<std::string> words = {program.path,
                                      fmt::format("--fd={}", listener),
                                      fmt::format("--shared-dir={}", directory),
                                      fmt::format("--sandbox={}", sandbox),
                                      "--cache=auto",
                                      "--log-level=error",
                                      "--rlimit-nofile=0"};
    if (program.announces_mounts) words.emplace_back("--no-announce-submounts");
    return words;
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
