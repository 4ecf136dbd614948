// The kernel that the guest boots: named by the user, found on this machine, or fetched once as
// the distribution's package. Its version is read from the file, as its modules must be of that.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "sys/setup_error.h"

namespace sluice::box {

struct Kernel {
  std::string path;                 // Of the file.
  std::vector<std::uint8_t> bytes;  // A bzImage or an ELF file.
  std::string version;              // As uname -r says it in the guest.
  std::string modules;              // The folder of its modules; empty where it has none.
};

// `named` is a file, or empty: then what fetch_kernel() left, a cloud kernel in /boot, or the
// newest there, each only with its modules, in this order.
[[nodiscard]] std::expected<Kernel, sys::SetupError> find_kernel(const std::string& named);

// Downloads the distribution's kernel for virtual machines by its own tools, and unpacks it below
// the user's cache directory, where find_kernel() looks. `tell` gets a line for each step. Returns
// the kernel's path. What is interrupted leaves nothing that would be found.
using Progress = std::function<void(std::string_view)>;
[[nodiscard]] std::expected<std::string, sys::SetupError> fetch_kernel(const Progress& tell);

// "6.1.0-56-cloud-amd64" of such a file, or empty. Pure.
[[nodiscard]] std::string version_of_kernel(ByteView file);

}  // namespace sluice::box
