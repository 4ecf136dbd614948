// What the commands are asked whose guest is a network namespace: `sluice run` and `sluice attach`.
#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "app/guest/guest_options.h"
#include "app/options/early_exit.h"
#include "app/options/raw_options.h"
#include "policy/fast_path_use.h"

namespace sluice::app {

struct NamespaceOptions : GuestOptions {
  std::string interface = "tap0";
  policy::FastPathUse fast_path = policy::FastPathUse::kAuto;  // --fast-path
};

[[nodiscard]] std::expected<void, Mistake> read_namespace_options(const RawOptions& raw,
                                                                  NamespaceOptions& options);

}  // namespace sluice::app
