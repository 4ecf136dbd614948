#include "sandbox/landlock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.h"

namespace sluice::sandbox {
namespace {

// linux/landlock.h as of Linux 6.12: the headers that we are built with may be older than the
// kernel that we run on.
struct RulesetAttributes {
  std::uint64_t handled_access_fs = 0;
  std::uint64_t handled_access_net = 0;
  std::uint64_t scoped = 0;
};
struct [[gnu::packed]] PathBeneath {
  std::uint64_t allowed_access = 0;
  std::int32_t parent_fd = -1;
};
constexpr unsigned kVersionFlag = 1;
constexpr int kRulePathBeneath = 1;
constexpr std::uint64_t kReadFile = 1U << 2;
constexpr std::uint64_t kReadDirectory = 1U << 3;
constexpr std::uint64_t kScopeAbstractUnixSocket = 1U << 0;
constexpr std::uint64_t kScopeSignal = 1U << 1;
constexpr long kFirstWithScopes = 6;

long version_of_kernel() {
  return ::syscall(SYS_landlock_create_ruleset, nullptr, 0UL, kVersionFlag);
}

// The rights over files that a version of the interface knows: the lowest bits, each version more.
std::uint64_t all_rights(long version) {
  const int count = version >= 5 ? 16 : version >= 3 ? 15 : version == 2 ? 14 : 13;
  return (std::uint64_t{1} << count) - 1;
}

std::unexpected<sys::SetupError> failed(std::string step) {
  return std::unexpected(sys::SetupError{std::move(step), errno, ""});
}

std::expected<void, sys::SetupError> allow_reading(int ruleset, const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  struct stat status{};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) return failed("open " + path);
  const PathBeneath rule{
      .allowed_access = S_ISDIR(status.st_mode) ? kReadFile | kReadDirectory : kReadFile,
      .parent_fd = fd.get()};
  if (::syscall(SYS_landlock_add_rule, ruleset, kRulePathBeneath, &rule, 0U) == 0) return {};
  return failed("permit to read " + path);
}

std::expected<Confined, sys::SetupError> enter(const RulesetAttributes& attributes,
                                               std::span<const std::string> readable) {
  // Members that an old kernel does not know are zero, which it accepts.
  const UniqueFd ruleset(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0U)));
  if (!ruleset.valid()) return failed("create a Landlock ruleset");
  for (const std::string& path : readable) {
    if (auto done = allow_reading(ruleset.get(), path); !done) return std::unexpected(done.error());
  }
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0U) != 0) {
    return failed("enter a Landlock ruleset");
  }
  return Confined::kYes;
}

}  // namespace

std::expected<Confined, sys::SetupError> confine_files(std::span<const std::string> readable,
                                                       AbstractSockets sockets) {
  const long version = version_of_kernel();
  if (version < 1) return Confined::kNotByKernel;
  const bool scoped = sockets == AbstractSockets::kOwn && version >= kFirstWithScopes;
  return enter(
      {.handled_access_fs = all_rights(version), .scoped = scoped ? kScopeAbstractUnixSocket : 0},
      readable);
}

std::expected<Confined, sys::SetupError> confine_signals() {
  if (version_of_kernel() < kFirstWithScopes) return Confined::kNotByKernel;
  return enter({.scoped = kScopeSignal}, {});
}

}  // namespace sluice::sandbox
