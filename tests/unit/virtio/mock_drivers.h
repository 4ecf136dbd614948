// The driver for a queue's format.
#pragma once

#include <memory>

#include "unit/virtio/mock_packed_driver.h"
#include "unit/virtio/mock_split_driver.h"

namespace sluice::virtio::test {

[[nodiscard]] inline std::unique_ptr<MockDriver> make_mock_driver(const MockOptions& options) {
  if (options.features.packed) return std::make_unique<MockPackedDriver>(options);
  return std::make_unique<MockSplitDriver>(options);
}

}  // namespace sluice::virtio::test
