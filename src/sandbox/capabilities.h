// Capabilities (capabilities(7)) and what comes with them: bounds, new privileges, being traced. Of
// the calling process while it has one thread.
#pragma once

#include <cstdint>
#include <expected>
#include <span>

#include "sys/setup_error.h"

namespace sluice::sandbox {

enum class CapabilityHeirs : std::uint8_t {
  kNone,
  kPrograms,  // What is executed has them too.
};

// Two steps, as a change of the user may stand between them. The first chooses of `kept` what the
// process has, and lowers the bounding set to it where it may: only CAP_SETPCAP may, and without
// it no_new_privs does as well. The second gives up everything else.
[[nodiscard]] std::expected<void, sys::SetupError> choose_capabilities(
    std::span<const unsigned> kept, CapabilityHeirs heirs);
[[nodiscard]] std::expected<void, sys::SetupError> keep_chosen_capabilities();

// Nothing that it executes gains rights.
[[nodiscard]] std::expected<void, sys::SetupError> refuse_new_privileges();

// All capabilities but these, new privileges, and being traced by others of the same user.
[[nodiscard]] std::expected<void, sys::SetupError> drop_privileges_but(
    std::span<const unsigned> kept);
[[nodiscard]] std::expected<void, sys::SetupError> drop_privileges();

}  // namespace sluice::sandbox
