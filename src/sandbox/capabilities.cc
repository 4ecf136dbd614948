#include "sandbox/capabilities.h"

#include <cap-ng.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "sandbox/sanitized.h"

namespace sluice::sandbox {
namespace {

std::unexpected<sys::SetupError> failed(const char* step) {
  return std::unexpected(sys::SetupError{step, errno, ""});
}

}  // namespace

std::expected<void, sys::SetupError> choose_capabilities(std::span<const unsigned> kept,
                                                         CapabilityHeirs heirs) {
  // The library keeps the number of the thread that called it first, also in a copy of the process
  // that clone(2) has made, where it is somebody else's.
  ::capng_setpid(::gettid());
  if (::capng_get_caps_process() != 0) return failed("read our capabilities");
  const bool may_lower_bounds = ::capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) != 0;
  std::vector<unsigned> held;
  for (const unsigned capability : kept) {
    if (::capng_have_capability(CAPNG_PERMITTED, capability) != 0) held.push_back(capability);
  }
  unsigned sets = CAPNG_EFFECTIVE | CAPNG_PERMITTED;
  if (heirs == CapabilityHeirs::kPrograms) {
    sets |= CAPNG_INHERITABLE | CAPNG_BOUNDING_SET | CAPNG_AMBIENT;
  }
  ::capng_clear(CAPNG_SELECT_ALL);
  for (const unsigned capability : held) {
    ::capng_update(CAPNG_ADD, static_cast<capng_type_t>(sets), capability);
  }
  if (may_lower_bounds && ::capng_apply(CAPNG_SELECT_BOUNDS) != 0) {
    return failed("lower the capability bounding set");
  }
  return {};
}

std::expected<void, sys::SetupError> keep_chosen_capabilities() {
  if (::capng_apply(CAPNG_SELECT_CAPS) != 0 || ::capng_apply(CAPNG_SELECT_AMBIENT) != 0) {
    return failed("drop capabilities");
  }
  return {};
}

std::expected<void, sys::SetupError> refuse_new_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("set no_new_privs");
  return {};
}

std::expected<void, sys::SetupError> drop_privileges_but(std::span<const unsigned> kept) {
  if (auto done = refuse_new_privileges(); !done) return done;
  if (auto done = choose_capabilities(kept, CapabilityHeirs::kNone); !done) return done;
  if (auto done = keep_chosen_capabilities(); !done) return done;
  // The leak sanitizer traces its own process.
  if (!kSanitized && ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return failed("make the process undumpable");
  }
  return {};
}

std::expected<void, sys::SetupError> drop_privileges() { return drop_privileges_but({}); }

}  // namespace sluice::sandbox
