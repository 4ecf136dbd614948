// The distribution's kernel for virtual machines, as its package, for machines that have none.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <string_view>

#include "sys/setup_error.h"

namespace sluice::box {

// A line for each step, and those of the tools.
using FetchProgress = std::function<void(std::string_view line)>;

// Downloads the package by apt-get, which checks it, and unpacks it as `folder`/VERSION, where
// find_kernel() looks; installs nothing. Returns the kernel's path, at once where it is there
// already. A fetch that was interrupted leaves nothing that would be found. Not for a process that
// has threads or a filter.
[[nodiscard]] std::expected<std::string, sys::SetupError> fetch_kernel(const std::string& folder,
                                                                       const FetchProgress& tell);

// NAME=VERSION of the package that Debian's newest cloud kernel is in, by what `apt-cache show`
// says of the package that stands for it; empty: it does not say. Pure.
[[nodiscard]] std::string package_of_kernel(std::string_view said);

}  // namespace sluice::box
