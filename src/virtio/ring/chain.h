// A chain of buffers that a driver made available: checked, translated, and what the guest writes
// into its descriptors later does not change it. The bytes themselves stay the guest's, who may
// change them at any time.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"

namespace sluice::virtio {

struct Chain {
  std::uint16_t id = 0;      // Split: the head's index. Packed: the buffer id.
  std::uint16_t slots = 1;   // Packed: descriptors of the ring that it takes.
  std::uint16_t record = 0;  // Packed: where the chains in flight have it.
  std::uint32_t readable_bytes = 0;
  std::uint32_t writable_bytes = 0;
  // None of the pieces is empty. Valid until the queue's publish(), or until it is stopped.
  std::span<const ByteView> readable;
  std::span<const MutableBytes> writable;
};

}  // namespace sluice::virtio
