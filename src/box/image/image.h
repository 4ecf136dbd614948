// The guest's first file system: our program as /init, and the modules that it loads.
#pragma once

#include <cstdint>
#include <expected>
#include <vector>

#include "base/bytes.h"
#include "box/image/kernel.h"
#include "sys/setup_error.h"

namespace sluice::box {

// The program that is /init in the guest: a static ELF file, part of this one.
[[nodiscard]] ByteView init_program();

// An archive for the kernel's initrd.
[[nodiscard]] std::expected<std::vector<std::uint8_t>, sys::SetupError> make_image(
    const Kernel& kernel);

}  // namespace sluice::box
