// A virtqueue of each format, with a driver on its other side.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "unit/virtio/mock_drivers.h"
#include "virtio/ring/virtqueue.h"

namespace sluice::virtio::test {

using Bytes = std::vector<std::uint8_t>;

inline Bytes content_of(const Chain& chain) {
  Bytes content;
  for (const ByteView piece : chain.readable)
    content.insert(content.end(), piece.begin(), piece.end());
  return content;
}

inline Bytes numbered(std::size_t size, unsigned first) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(first + i);
  return bytes;
}

struct Format {
  RingFeatures features;
  const char* name;
};

class VirtqueueTest : public testing::TestWithParam<Format> {
 protected:
  void begin(std::size_t size, std::uint32_t base) {
    driver_ = make_mock_driver({.size = size, .features = GetParam().features, .base = base});
    ASSERT_TRUE(queue_.start(driver_->memory(), driver_->config()));
  }
  void begin(std::size_t size = 8) { begin(size, GetParam().features.packed ? kPackedStart : 0); }
  // Takes all, gives all back.
  std::vector<Bytes> pass() {
    std::vector<Bytes> passed;
    const auto taken = queue_.take(64);
    if (!taken) return passed;
    for (const Chain& chain : *taken) {
      passed.push_back(content_of(chain));
      queue_.give(chain, 0);
    }
    queue_.publish();
    return passed;
  }
  [[nodiscard]] MockDriver::Form form() const {
    return GetParam().features.indirect ? MockDriver::Form::kIndirect : MockDriver::Form::kDirect;
  }

  std::unique_ptr<MockDriver> driver_;
  Virtqueue queue_;
};

constexpr RingFeatures features(bool packed, bool event, bool indirect, bool in_order) {
  return {.packed = packed, .event_index = event, .indirect = indirect, .in_order = in_order};
}
inline constexpr Format kSplit{features(false, false, false, false), "Split"};
inline constexpr Format kSplitEventIndirect{features(false, true, true, false),
                                            "SplitEventIndirect"};
inline constexpr Format kSplitInOrder{features(false, true, false, true), "SplitInOrder"};
inline constexpr Format kPacked{features(true, false, false, false), "Packed"};
inline constexpr Format kPackedEventIndirect{features(true, true, true, false),
                                             "PackedEventIndirect"};
inline constexpr Format kPackedInOrder{features(true, true, false, true), "PackedInOrder"};

inline std::string name_of(const testing::TestParamInfo<Format>& one) { return one.param.name; }

}  // namespace sluice::virtio::test
