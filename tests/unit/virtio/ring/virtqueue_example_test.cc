// The example that virtqueue.h opens with.
#include <gtest/gtest.h>

#include <fstream>

#include "unit/virtio/ring/virtqueue_fixture.h"

namespace sluice::virtio::test {
namespace {

// The header's example, line by line, against a driver of 40 packets.
TEST(VirtqueueExample, Runs) {
  MockSplitDriver driver({.size = 256, .features = {.event_index = true}});
  for (unsigned i = 0; i < 40; ++i) ASSERT_TRUE(driver.offer({driver.readable(numbered(10, i))}));
  driver.show();
  std::vector<Bytes> used;
  std::size_t calls = 0;
  const auto use = [&](ByteView piece) { used.emplace_back(piece.begin(), piece.end()); };
  const auto call_the_driver = [&] { ++calls; };
  const MutableBytes mapped = driver.bytes();
  constexpr std::uint64_t ram_at = MockDriver::kGuestBase;
  constexpr std::uint64_t user = 0x7000'0000;
  const std::uint64_t descriptors_at = user;
  const auto driver_at = user + static_cast<std::uint64_t>(driver.driver_area() - mapped.data());
  const auto device_at = user + static_cast<std::uint64_t>(driver.device_area() - mapped.data());

  const auto example = [&] {
    // clang-format off
    GuestMemory memory;
    if (!memory.add({.guest_address = ram_at, .user_address = user, .bytes = mapped})) return;
    QueueConfig config{.size = 256, .features = {.event_index = true}};
    const RingSizes sizes = ring_sizes(config.size, config.features);
    config.descriptors = memory.find_user(descriptors_at, sizes.descriptors);
    config.driver = memory.find_user(driver_at, sizes.driver);
    config.device = memory.find_user(device_at, sizes.device);
    Virtqueue queue;
    if (!queue.start(memory, config)) return;  // The error says what is wrong with them.
    do {
      const auto taken = queue.take(32);
      if (!taken) return;  // text_of(taken.error()) is for the log.
      for (const Chain& chain : *taken) {
        for (const ByteView piece : chain.readable) use(piece);
        queue.give(chain, 0);
      }
      queue.publish();
      if (queue.needs_call()) call_the_driver();
    } while (queue.enable_kicks());  // Nothing came meanwhile: the next kick tells.
    // clang-format on
  };
  example();
  ASSERT_EQ(used.size(), 40U);
  EXPECT_EQ(used[39], numbered(10, 39));
  EXPECT_EQ(calls, 1U);
}

TEST(VirtqueueExample, IsTheHeaders) {
  const auto lines_of = [](const char* file, std::string_view begin) {
    std::ifstream source(std::string(SLUICE_ROOT) + file);
    std::vector<std::string> lines;
    bool within = false;
    for (std::string line; std::getline(source, line);) {
      line.erase(0, line.find_first_not_of("/ "));
      within = within || line == begin;
      if (within) lines.push_back(line);
      if (within && line.starts_with("} while")) break;
    }
    return lines;
  };
  const auto header = lines_of("/src/virtio/ring/virtqueue.h", "GuestMemory memory;");
  EXPECT_GT(header.size(), 15U);
  EXPECT_EQ(header,
            lines_of("/tests/unit/virtio/ring/virtqueue_example_test.cc", "GuestMemory memory;"));
}

}  // namespace
}  // namespace sluice::virtio::test
