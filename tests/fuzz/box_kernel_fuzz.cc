// A file that claims to be a kernel: whatever is taken of it lies within it, and is put into the
// guest's memory or refused.
#include <cstdint>
#include <vector>

#include "box/boot/kernel_image.h"
#include "box/boot/load_kernel.h"
#include "require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  // Addresses below this are the most that a loader writes anew each time.
  static std::vector<std::uint8_t> low(std::size_t{32} << 20);
  const ByteView file(data, size);
  const auto image = box::parse_kernel(file);
  if (!image) {
    require(!image.error().empty(), "a refusal has words");
    return 0;
  }
  for (const box::KernelSegment& segment : image->segments) {
    require(segment.bytes.empty() ||
                (segment.bytes.data() >= file.data() &&
                 segment.bytes.data() + segment.bytes.size() <= file.data() + file.size()),
            "bytes of the file");
    require(segment.address >= box::kKernelMin, "above the tables");
    require(segment.size >= segment.bytes.size(), "room for its bytes");
    require(segment.address + segment.size <= image->end, "before the end");
  }
  (void)box::load_kernel(low, *image, {.initramfs = file, .command_line = "quiet"});
  return 0;
}
