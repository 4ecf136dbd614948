// Called as `slirp4netns`: its command line (slirp4netns(1), of 1.2 and 1.3), as options of ours.
//
// Whoever starts it, Podman, RootlessKit and BuildKit above all, looks in --help for the options
// that there are, and finds each word taken. Where slirp4netns has a word for what we do anyway
// (--enable-sandbox, --enable-seccomp) it means nothing.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/guest/namespace_options.h"
#include "app/options/early_exit.h"
#include "netns/attach/target_namespaces.h"

namespace sluice::app {

struct SlirpOptions {
  enum class Target : std::uint8_t {
    kNamespace,   // A tap is made there.
    kTap,         // --netns-type=tapfd: one that somebody else has made.
    kBessSocket,  // --target-type=bess: User Mode Linux connects.
  };

  NamespaceOptions guest;  // Its network: addresses, families, MTU, what it reaches.
  Target target = Target::kNamespace;
  netns::TargetNames names;         // Of kNamespace.
  std::optional<int> tap_fd;        // Of kTap.
  std::string bess_socket;          // Of kBessSocket.
  bool configure = false;           // Bring the interface up.
  std::optional<int> ready_fd;      // "1" is written there when all is up.
  std::optional<int> exit_fd;       // We end when its other side is closed.
  std::string api_socket;           // Empty: none.
  std::vector<std::string> doubts;  // Worth a warning; a sentence each.
};

// `words` is the whole command line, argv[0] first. The exit code of a mistake is 1, as
// slirp4netns's.
[[nodiscard]] std::expected<SlirpOptions, EarlyExit> parse_slirp_options(
    std::span<const char* const> words);

}  // namespace sluice::app
