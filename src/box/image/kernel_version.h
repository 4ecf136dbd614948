// The version that a kernel calls itself, out of its file. Pure.
#pragma once

#include <string>

#include "base/bytes.h"

namespace sluice::box {

// "6.1.0-56-cloud-amd64" of a bzImage or an ELF kernel for x86-64; empty: it is neither.
[[nodiscard]] std::string version_of_kernel(ByteView file);

}  // namespace sluice::box
