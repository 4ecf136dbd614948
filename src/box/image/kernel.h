// The kernel that the guest boots: named by the user, or found on this machine. Its modules must be
// of its version, which is read from the file.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "sys/setup_error.h"

namespace sluice::box {

struct Kernel {
  std::string path;                 // Of the file.
  std::vector<std::uint8_t> bytes;  // A bzImage or an ELF file.
  std::string version;              // As uname -r says it in the guest.
  std::string modules;              // The folder of its modules; empty where it has none.
  // Files of those that a guest needs, in the order in which they must be loaded.
  std::vector<std::string> chosen_modules = {};
};

// Where kernels are looked for.
struct KernelPlaces {
  std::string fetched;  // VERSION/vmlinuz and VERSION/modules, as fetch_kernel() leaves them.
  std::string boot = "/boot";
  std::vector<std::string> modules = {"/lib/modules", "/usr/lib/modules"};
};
// `fetched` is below $XDG_CACHE_HOME or ~/.cache; empty where there is neither.
[[nodiscard]] KernelPlaces usual_kernel_places();

// `named` is a file, whose modules are in a folder "modules" beside it or with the system's;
// without any, all that it needs must be built in. Or it is empty: then it is the newest that was
// fetched, or else that of the system, one for virtual machines first, which has the modules of a
// guest.
[[nodiscard]] std::expected<Kernel, sys::SetupError> find_kernel(
    const std::string& named, const KernelPlaces& places = usual_kernel_places());

}  // namespace sluice::box
