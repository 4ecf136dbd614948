// Helpers that the socket classes share.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>

#include "host/kernel.h"
#include "host/sys_error.h"
#include "wire/address.h"

namespace sluice::host {

// A non-blocking, close-on-exec socket.
[[nodiscard]] std::expected<KernelFd, SysError> open_socket(Kernel& kernel, int family, int type,
                                                            int protocol);

[[nodiscard]] std::expected<void, SysError> set_option(const KernelFd& fd, int level, int name,
                                                       int value);
// For what is good to have and whose lack changes nothing for the caller.
void prefer_option(const KernelFd& fd, int level, int name, int value);
[[nodiscard]] std::expected<int, SysError> get_option(const KernelFd& fd, int level, int name);

// SO_MARK, when there is one to set.
[[nodiscard]] std::expected<void, SysError> set_mark(const KernelFd& fd,
                                                     std::optional<std::uint32_t> mark);

[[nodiscard]] std::expected<void, SysError> bind_to(const KernelFd& fd,
                                                    const wire::Endpoint& endpoint);
[[nodiscard]] std::expected<wire::Endpoint, SysError> local_endpoint_of(const KernelFd& fd);

}  // namespace sluice::host
