// Called as `pasta`: its command line (passt(1), of 2023-03 and of 2025-05), as options of ours.
//
// Whoever starts pasta, Podman, Buildah and rootlesskit above all, finds each word taken. What
// differs on purpose is told where --debug asks for it; what is not done is told to everybody, or
// is a mistake where nothing else would serve.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "app/compat/passt_common.h"
#include "app/guest/namespace_options.h"
#include "app/options/early_exit.h"
#include "netns/attach/target_namespaces.h"

namespace sluice::app {

// In namespaces that are made for it. As for execvp(); at least one word.
struct PastaCommand {
  std::vector<std::string> words;
};

struct PastaOptions : PasstCommon {
  NamespaceOptions guest;
  std::variant<PastaCommand, netns::TargetNames> target;
  bool configures = false;    // --config-net
  bool only_network = false;  // --netns-only
  bool stays = false;         // --no-netns-quit
};

// `words` is the whole command line, argv[0] first. `shell` is what to start if no command is
// named; a program passes getenv("SHELL"), and /bin/sh stands in if it is empty. The exit code of a
// mistake is 1, as pasta's.
[[nodiscard]] std::expected<PastaOptions, EarlyExit> parse_pasta_options(
    std::span<const char* const> words, std::string_view shell);

}  // namespace sluice::app
