// Called as `passt`: its command line (passt(1), of 2023-03 and of 2025-05), as options of ours.
//
// Whoever starts passt, QEMU and libvirt above all, finds each word taken and each error in the
// place where passt has it. What differs on purpose is told where --debug asks for it: our guest
// has a network of its own, while passt's has the host's addresses.
#pragma once

#include <expected>
#include <span>
#include <string>

#include "app/compat/passt_common.h"
#include "app/options/early_exit.h"
#include "app/vm/vm_options.h"

namespace sluice::app {

struct PasstOptions : PasstCommon {
  VmOptions vm;
};

// `words` is the whole command line, argv[0] first. `free_socket` says where to listen if they do
// not: it is asked only then, as it tries places where others may serve. The exit code of a mistake
// is 1, as passt's.
[[nodiscard]] std::expected<PasstOptions, EarlyExit> parse_passt_options(
    std::span<const char* const> words, std::string (*free_socket)());

}  // namespace sluice::app
