// What a front-end may send: bytes become messages, messages a session's effects. Each message is
// behind a byte that says with how many descriptors it comes.
#include <array>
#include <cstdint>

#include "link/vhost_user/messages.h"
#include "link/vhost_user/session.h"
#include "require.h"

using namespace sluice;
using namespace sluice::link;

namespace {

// Takes all that it is asked, and holds the session to the order of it.
class FuzzedDevice final : public VhostDevice {
 public:
  VhostDone set_table(std::span<const VhostRegion> regions, std::vector<UniqueFd> files) override {
    require(running_ == 0, "memory changes while no ring runs");
    require(regions.size() == files.size(), "each region has its file");
    return answer(regions.front().size);
  }
  VhostDone add_region(const VhostRegion& region, UniqueFd) override {
    require(running_ == 0, "memory changes while no ring runs");
    return answer(region.size);
  }
  VhostDone remove_region(const VhostRegion& region) override {
    require(running_ == 0, "memory changes while no ring runs");
    return answer(region.size);
  }
  VhostDone set_log(const VhostLog& log, UniqueFd) override { return answer(log.size); }
  void set_features(std::uint64_t) override {}
  std::expected<UniqueFd, VhostRefusal> make_inflight(VhostInflight& inflight) override {
    require(inflight.queues > 0 && inflight.queues <= kRings, "queues that there are");
    return UniqueFd();
  }
  VhostDone set_inflight(const VhostInflight& inflight, UniqueFd) override {
    require(running_ == 0, "what is in flight moves while no ring runs");
    return answer(inflight.size);
  }
  void forget_inflight() override { require(running_ == 0, "no ring notes it any more"); }
  void clear_inflight(std::size_t index) override {
    require((running_ >> index & 1) == 0, "nothing of it is in flight");
  }
  VhostDone start_ring(std::size_t index, const VhostRing& ring) override {
    require(index < kRings && (running_ >> index & 1) == 0, "a ring begins once");
    require(ring.size > 0 && ring.size <= 32'768 && ring.address.has_value(), "it is set up");
    if (!answer(ring.address->used)) return answer(ring.address->used);
    running_ |= 1U << index;
    return {};
  }
  std::uint32_t stop_ring(std::size_t index) override {
    require((running_ >> index & 1) != 0, "what is stopped has begun");
    running_ &= ~(1U << index);
    return 1;
  }
  void ring_changed(std::size_t index) override {
    require((running_ >> index & 1) != 0, "a ring that changes runs");
  }
  [[nodiscard]] bool idle() const { return running_ == 0; }

  static constexpr std::size_t kPairs = 2;
  static constexpr std::size_t kRings = 2 * kPairs + 1;

 private:
  // As the input says.
  [[nodiscard]] static VhostDone answer(std::uint64_t number) {
    if (number % 2 == 1) return std::unexpected(VhostRefusal{"odd"});
    return {};
  }
  unsigned running_ = 0;
};

void check_round_trip(const VhostMessage& message, std::size_t descriptors) {
  std::array<std::uint8_t, kVhostMessageMax> out{};
  const std::size_t size = emit_vhost_message(message, VhostKind::kRequest, out);
  const auto header = parse_vhost_header(FixedBytes<kVhostMessageMax>(out).first<12>());
  require(header && size == kVhostHeaderSize + header->size, "what was read can be written");
  const auto again = parse_vhost_message(
      *header, ByteView(out).subspan(kVhostHeaderSize, header->size), descriptors);
  require(again && *again == message, "and read again as the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteView rest(data, size);
  FuzzedDevice device;
  const std::array<std::uint8_t, 24> config{};
  VhostSession session({.features = 0x1'3000'ffff,
                        .pairs = FuzzedDevice::kPairs,
                        .regions_max = 8,
                        .config = config},
                       device);
  while (rest.size() > kVhostHeaderSize) {
    const std::size_t descriptors = rest[0] % 10;
    const auto header = parse_vhost_header(rest.subspan<1, kVhostHeaderSize>());
    if (!header) break;
    rest = rest.subspan(1 + kVhostHeaderSize);
    if (header->size > rest.size()) break;
    const auto message = parse_vhost_message(*header, rest.first(header->size), descriptors);
    rest = rest.subspan(header->size);
    if (!message) break;
    check_round_trip(*message, descriptors);
    // None of them is a descriptor that could be closed, and one that is negative would not count.
    std::vector<UniqueFd> fds;
    for (std::size_t i = 0; i < descriptors; ++i) fds.emplace_back(1'000'000'000);
    const auto answer = session.on_message(*message, std::move(fds));
    if (!answer) break;
    require(!*answer || (*answer)->request == message->request, "an answer is to its question");
  }
  session.end();
  require(device.idle(), "nothing runs behind the end");
  return 0;
}
