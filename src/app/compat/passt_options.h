// Called as `passt`: its command line (passt(1), of 2023-03 and of 2025-05), as options of ours.
//
// Whoever starts passt, QEMU and libvirt above all, finds each word taken and each error in the
// place where passt has it. What differs on purpose is told where --debug asks for it: our guest
// has a network of its own, while passt's has the host's addresses.
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/options/early_exit.h"
#include "app/vm/vm_options.h"

namespace sluice::app {

struct PasstOptions {
  VmOptions vm;
  bool foreground = false;
  std::string pid_file;  // Empty: none.
  std::string log_file;  // Empty: the system's log, and standard error in the foreground.
  std::size_t log_size = 1024 * 1024;
  // --map-guest-addr: what stands for the host's own address of that family.
  std::optional<wire::IpAddress> host_alias_v4;
  std::optional<wire::IpAddress> host_alias_v6;
  std::string run_as;                    // Empty: as who started it; nobody in the place of root.
  std::vector<std::string> differences;  // A sentence each.
};

// `words` is the whole command line, argv[0] first. `free_socket` says where to listen if they do
// not: it is asked only then, as it tries places where others may serve. The exit code of a mistake
// is 1, as passt's.
[[nodiscard]] std::expected<PasstOptions, EarlyExit> parse_passt_options(
    std::span<const char* const> words, std::string (*free_socket)());

}  // namespace sluice::app
