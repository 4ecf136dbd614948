// A split virtqueue of a driver that does what it likes: virtio_ring_harness.h.
#include "virtio_ring_harness.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  sluice::wire::ByteReader input(sluice::ByteView(data, size));
  sluice::virtio::test::RingHarness(input, false).run();
  return 0;
}
