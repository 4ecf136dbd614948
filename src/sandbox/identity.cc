#include "sandbox/identity.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <optional>
#include <span>

#include "sandbox/capabilities.h"

namespace sluice::sandbox {
namespace {

// The one that every forwarder may need comes first.
constexpr std::array<unsigned, 3> kNetworkCapabilities = {CAP_NET_BIND_SERVICE, CAP_NET_ADMIN,
                                                          CAP_NET_RAW};

std::unexpected<sys::SetupError> failed(const char* step) {
  return std::unexpected(sys::SetupError{step, errno, ""});
}

std::optional<std::uint32_t> number_of(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  // The largest means "leave it as it is" to the kernel.
  if (error != std::errc{} || end != text.data() + text.size() || number == UINT32_MAX) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

std::expected<Identity, std::string> find_identity(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string user(text.substr(0, colon));
  Identity identity{.name = std::string(text)};
  const auto number = number_of(user);
  if (const passwd* const entry = ::getpwnam(user.c_str()); entry != nullptr) {
    identity.uid = entry->pw_uid;
    identity.gid = entry->pw_gid;
  } else if (number) {
    identity.uid = *number;
    identity.gid = *number;
  } else {
    return std::unexpected("there is no user '" + user + "'");
  }
  if (colon == std::string_view::npos) return identity;
  const std::string group(text.substr(colon + 1));
  if (const struct group* const entry = ::getgrnam(group.c_str()); entry != nullptr) {
    identity.gid = entry->gr_gid;
  } else if (const auto gid = number_of(group)) {
    identity.gid = *gid;
  } else {
    return std::unexpected("there is no group '" + group + "'");
  }
  return identity;
}

std::expected<void, sys::SetupError> change_user(const Identity& identity, NetworkRights rights) {
  const std::span<const unsigned> all(kNetworkCapabilities);
  // A program that we hand over to opens listeners as we do.
  if (auto done = choose_capabilities(rights == NetworkRights::kAll ? all : all.first(1),
                                      CapabilityHeirs::kPrograms);
      !done) {
    return done;
  }
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return failed("keep capabilities");
  if (::setgroups(0, nullptr) != 0) return failed("leave our groups");
  if (::setresgid(identity.gid, identity.gid, identity.gid) != 0) return failed("change the group");
  if (::setresuid(identity.uid, identity.uid, identity.uid) != 0) return failed("change the user");
  return keep_chosen_capabilities();
}

}  // namespace sluice::sandbox
