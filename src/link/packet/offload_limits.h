// What whoever has an interface leaves to who receives its frames: the features of an interface by
// their names (ethtool), as the numbers differ from kernel to kernel. Set-up only; for the network
// namespace of the calling thread, with CAP_NET_ADMIN there.
#pragma once

#include <expected>
#include <string>

#include "sys/setup_error.h"

namespace sluice::link {

// Of segmentation and checksums, no more of interface `name` than a virtio-net header can say; the
// kernel does the rest before a frame leaves. Of TCP always, of batches of datagrams where wanted.
[[nodiscard]] std::expected<void, sys::SetupError> limit_offloads(const std::string& name,
                                                                  bool udp_batches);

}  // namespace sluice::link
