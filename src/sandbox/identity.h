// The user that a process started as root becomes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "sys/setup_error.h"

namespace sluice::sandbox {

struct Identity {
  std::string name;  // As it was asked for.
  uid_t uid = 0;
  gid_t gid = 0;
};

// "NAME", "NAME:GROUP", or numbers; without a group the user's own. The error is half a sentence.
[[nodiscard]] std::expected<Identity, std::string> find_identity(std::string_view text);

enum class NetworkRights : std::uint8_t {
  kPorts,  // CAP_NET_BIND_SERVICE: a reload may open ports below 1024.
  kAll,    // CAP_NET_ADMIN and CAP_NET_RAW too: transparent, marked or bound to a device.
};

// The whole process becomes that user, with no other group and with these rights as far as it has
// them; a program that it executes has the same. While it has one thread only.
[[nodiscard]] std::expected<void, sys::SetupError> change_user(const Identity& identity,
                                                               NetworkRights rights);

}  // namespace sluice::sandbox
