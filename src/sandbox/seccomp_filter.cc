#include "sandbox/seccomp_filter.h"

#include <seccomp.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string_view>

#include "sandbox/sanitized.h"

namespace sluice::sandbox {
namespace {

std::unexpected<sys::SetupError> failed(const char* step, int error) {
  return std::unexpected(sys::SetupError{step, error, ""});
}

struct FilterDeleter {
  void operator()(void* filter) const { ::seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, FilterDeleter>;

scmp_arg_cmp is(unsigned argument, std::uint64_t mask, std::uint64_t value) {
  return {.arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}

// These answer a negative errno from libseccomp, or 0.

int add_rule(void* filter, std::uint32_t action, const SeccompRule& rule) {
  const scmp_arg_cmp condition = is(rule.argument, rule.mask, rule.value);
  return ::seccomp_rule_add_array(filter, action, rule.call, 1, &condition);
}

int add_rules(void* filter, std::uint32_t action, std::span<const SeccompRule> rules) {
  for (const SeccompRule& rule : rules) {
    if (const int rc = add_rule(filter, action, rule); rc != 0) return rc;
  }
  return 0;
}

// No flags: one of them would signal the child's whole process group, which is ours too.
int allow_signals_to(void* filter, int child) {
  const std::array only_child{is(0, kIntArgument, static_cast<std::uint64_t>(child)),
                              is(3, kIntArgument, 0)};
  return ::seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(pidfd_send_signal),
                                  only_child.size(), only_child.data());
}

int add_list(void* filter, const SeccompAllowList& list) {
  for (const int call : list.allowed) {
    if (const int rc = ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0); rc != 0) return rc;
  }
  if (const int rc = add_rules(filter, SCMP_ACT_ALLOW, list.conditional); rc != 0) return rc;
  if (const int rc = add_rules(filter, SCMP_ACT_ERRNO(EACCES), list.refused); rc != 0) return rc;
  const auto self = static_cast<std::uint64_t>(::getpid());
  for (const int call : list.of_itself) {
    if (const int rc = add_rule(filter, SCMP_ACT_ALLOW, {call, 0, kWholeArgument, self}); rc != 0) {
      return rc;
    }
  }
  return list.child < 0 ? 0 : allow_signals_to(filter, list.child);
}

std::expected<void, sys::SetupError> load(const Filter& filter, int built) {
  if (built != 0) return failed("build a seccomp filter", -built);
  if (const int rc = ::seccomp_load(filter.get()); rc != 0) {
    return failed("load the seccomp filter", -rc);
  }
  return {};
}

Filter make_filter(std::uint32_t otherwise) {
  Filter filter(::seccomp_init(otherwise));
  // A binary tree by number: the cost of a call does not grow with the list.
  if (filter) (void)::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  return filter;
}

}  // namespace

SeccompMode seccomp_mode_from_environment() {
  if constexpr (kSanitized) return SeccompMode::kOff;
  const char* value = ::getenv("SLUICE_SECCOMP");
  if (value == nullptr) return SeccompMode::kKill;
  if (std::string_view(value) == "log") return SeccompMode::kLog;
  if (std::string_view(value) == "off") return SeccompMode::kOff;
  return SeccompMode::kKill;
}

std::expected<void, sys::SetupError> load_allow_list(SeccompMode mode,
                                                     const SeccompAllowList& list) {
  if (mode == SeccompMode::kOff) return {};
  const bool log = mode == SeccompMode::kLog;
  const Filter filter = make_filter(log ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_KILL_PROCESS);
  if (!filter) return failed("create a seccomp filter", ENOMEM);
  // Missing before Linux 4.14; the calls then fail without a line in the log.
  if (log) (void)::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_LOG, 1);
  return load(filter, add_list(filter.get(), list));
}

std::expected<void, sys::SetupError> load_deny_list(SeccompMode mode,
                                                    std::span<const SeccompRefusal> refused) {
  if (mode == SeccompMode::kOff) return {};
  const Filter filter = make_filter(SCMP_ACT_ALLOW);
  if (!filter) return failed("create a seccomp filter", ENOMEM);
  int built = 0;
  for (std::size_t i = 0; i < refused.size() && built == 0; ++i) {
    const auto error = static_cast<std::uint16_t>(refused[i].error);
    built = add_rule(filter.get(), SCMP_ACT_ERRNO(error), refused[i].rule);
  }
  return load(filter, built);
}

}  // namespace sluice::sandbox
