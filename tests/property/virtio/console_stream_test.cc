// Whatever the sizes of buffers and the order in which both sides come to their turns: the bytes of
// a port arrive once, in order, and no kick is missed.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "base/prng.h"
#include "unit/virtio/mock_drivers.h"
#include "virtio/console/port_input.h"
#include "virtio/console/port_output.h"

namespace sluice::virtio::test {
namespace {

using Bytes = std::vector<std::uint8_t>;

MockOptions any_options() {
  RingFeatures features{.packed = *rc::gen::arbitrary<bool>(),
                        .event_index = *rc::gen::arbitrary<bool>()};
  return {.size = std::size_t{1} << *rc::gen::inRange(2, 7),
          .features = features,
          .base = features.packed ? kPackedStart : 0xfff0};
}

std::size_t below(Prng& prng, std::size_t bound) {
  return static_cast<std::size_t>(prng.next() % bound);
}

RC_GTEST_PROP(ConsoleStream, OutputIsWhatTheGuestWrote, ()) {
  Prng prng(*rc::gen::arbitrary<std::uint64_t>());
  const auto driver = make_mock_driver(any_options());
  PortOutput output;
  RC_ASSERT(output.ring().start(driver->memory(), driver->config()).has_value());
  Bytes sent;
  Bytes received;
  bool look = true;
  const auto take = [&](bool all) {
    const auto pieces = output.waiting();
    RC_ASSERT(pieces.has_value());
    if (pieces->empty()) {
      look = false;
      return;
    }
    std::size_t bytes = 0;
    for (const ByteView piece : *pieces) bytes += piece.size();
    const std::size_t part = all ? bytes : below(prng, bytes + 1);
    std::size_t left = part;
    for (const ByteView piece : *pieces) {
      const ByteView some = piece.first(std::min(left, piece.size()));
      received.insert(received.end(), some.begin(), some.end());
      left -= some.size();
    }
    (void)output.take(part);
  };
  for (int turn = 0; turn < 60; ++turn) {
    for (std::size_t i = below(prng, 4); i > 0; --i) {
      Bytes bytes(1 + below(prng, 300));
      for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(prng.next());
      const std::size_t cut = below(prng, bytes.size());
      std::vector<MockBuffer> chain;
      if (cut > 0) chain.push_back(driver->readable(ByteView(bytes).first(cut)));
      chain.push_back(driver->readable(ByteView(bytes).subspan(cut)));
      if (!driver->offer(chain)) break;
      sent.insert(sent.end(), bytes.begin(), bytes.end());
    }
    driver->show();
    look = look || driver->kick_wanted();
    if (look) take(false);
    while (driver->take_used()) {
    }
  }
  while (look) take(true);
  RC_ASSERT(received == sent);
}

RC_GTEST_PROP(ConsoleStream, InputIsWhatTheHostPutIn, ()) {
  Prng prng(*rc::gen::arbitrary<std::uint64_t>());
  const auto driver = make_mock_driver(any_options());
  PortInput input;
  RC_ASSERT(input.ring().start(driver->memory(), driver->config()).has_value());
  std::map<std::uint16_t, MockBuffer> buffers;
  Bytes sent;
  Bytes received;
  bool look = true;
  for (int turn = 0; turn < 60; ++turn) {
    for (std::size_t i = below(prng, 4); i > 0; --i) {
      const MockBuffer buffer = driver->writable(1 + below(prng, 300));
      if (const auto id = driver->offer({buffer})) buffers[*id] = buffer;
    }
    driver->show();
    look = look || driver->kick_wanted();
    if (look) {
      const auto pieces = input.room();
      RC_ASSERT(pieces.has_value());
      look = !pieces->empty();
      std::size_t left = below(prng, 500);
      std::size_t filled = 0;
      for (const MutableBytes piece : *pieces) {
        const MutableBytes part = piece.first(std::min(left, piece.size()));
        for (std::uint8_t& byte : part) {
          byte = static_cast<std::uint8_t>(prng.next());
          sent.push_back(byte);
        }
        left -= part.size();
        filled += part.size();
      }
      if (look) (void)input.fill(filled);
    }
    while (const auto used = driver->take_used()) {
      const ByteView bytes = driver->at(buffers[used->id]).first(used->written);
      received.insert(received.end(), bytes.begin(), bytes.end());
    }
  }
  RC_ASSERT(received == sent);
}

}  // namespace
}  // namespace sluice::virtio::test
