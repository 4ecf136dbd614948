// What `sluice attach` was asked to do: every option, checked, with defaults filled in.
#pragma once

#include <expected>
#include <optional>
#include <span>
#include <string>

#include "app/guest/namespace_options.h"
#include "app/options/early_exit.h"
#include "netns/attach/target_namespaces.h"

namespace sluice::app {

struct AttachOptions : NamespaceOptions {
  netns::TargetNames target;
  bool background = false;      // --background
  std::string pid_file;         // Empty: none.
  std::optional<int> ready_fd;  // --ready-fd
  std::optional<int> exit_fd;   // --exit-fd
};

// `arguments` are those after "attach".
[[nodiscard]] std::expected<AttachOptions, EarlyExit> parse_attach_options(
    std::span<const char* const> arguments);

}  // namespace sluice::app
