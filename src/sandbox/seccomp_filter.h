// Filters of system calls (seccomp(2)), as tables: run's serving process and agent (sandbox.h) and
// forward's threads (forward_sandbox.h) differ in their lists only.
//
//   constexpr std::array kAllowed = {SCMP_SYS(read), SCMP_SYS(write)};
//   constexpr std::array kConditional = {SeccompRule{SCMP_SYS(socket), 0, kWholeArgument,
//   AF_INET}}; load_allow_list(mode, {.allowed = kAllowed, .conditional = kConditional});
//
// A filter holds for the calling thread, the threads and processes that it makes and the programs
// that they execute, for good. Filters add up: a call passes if each of them lets it.
#pragma once

#include <cstdint>
#include <expected>
#include <span>

#include "sys/setup_error.h"

namespace sluice::sandbox {

enum class SeccompMode : std::uint8_t {
  kKill,  // A forbidden call kills the process.
  kLog,   // It fails with EPERM and the kernel logs it: for finding what is missing.
  kOff,
};

// The environment variable SLUICE_SECCOMP: "log", "off"; anything else, or none, is kKill. In
// builds with a sanitizer, whose runtime needs more calls, it is kOff.
[[nodiscard]] SeccompMode seccomp_mode_from_environment();

// Fits a call where (its argument & mask) == value.
struct SeccompRule {
  int call;
  unsigned argument;
  std::uint64_t mask;
  std::uint64_t value;
};

inline constexpr std::uint64_t kWholeArgument = ~std::uint64_t{0};
// Of an int: what stands above its 32 bits does not count to the kernel.
inline constexpr std::uint64_t kIntArgument = 0xffff'ffff;

// All that may be called.
struct SeccompAllowList {
  // With any arguments. The hottest first: that counts where libseccomp builds no tree.
  std::span<const int> allowed;
  std::span<const SeccompRule> conditional = {};
  std::span<const SeccompRule> refused = {};  // Answered EACCES: the caller can do without.
  std::span<const int> of_itself = {};        // Only where argument 0 is our pid: kill(), tgkill().
  int child = -1;  // The pidfd by which signals may be sent; negative: none.
};

// What is not in the list is refused as `mode` says.
[[nodiscard]] std::expected<void, sys::SetupError> load_allow_list(SeccompMode mode,
                                                                   const SeccompAllowList& list);

// A call that fits fails with `error`.
struct SeccompRefusal {
  SeccompRule rule;
  int error;
};

// Everything else passes.
[[nodiscard]] std::expected<void, sys::SetupError> load_deny_list(
    SeccompMode mode, std::span<const SeccompRefusal> refused);

}  // namespace sluice::sandbox
