#include "link/packet/packet_ring.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice::link {
namespace {

constexpr std::size_t kMacs = 2 * ETH_ALEN;
// What the kernel puts before a frame, whichever size was asked for.
constexpr std::size_t kHeaderSize = wire::VirtioNetHeader::kSizeLegacy;
constexpr std::size_t kTag = 4;  // IEEE 802.1Q.

[[nodiscard]] tpacket2_hdr* header_of(MutableBytes slot) {
  return reinterpret_cast<tpacket2_hdr*>(slot.data());
}

[[nodiscard]] std::uint32_t status_of(MutableBytes slot) {
  return std::atomic_ref(header_of(slot)->tp_status).load(std::memory_order_acquire);
}

// The kernel takes a VLAN's tag out of the frame before anybody is given it. There is room before
// the frame: what the kernel said of it, which was read by then.
void put_tag_back(const tpacket2_hdr& header, std::uint8_t* begin) {
  std::memmove(begin, begin + kTag, kMacs);
  const bool says_which = (header.tp_status & TP_STATUS_VLAN_TPID_VALID) != 0;
  const FixedBytes<kTag> tag(begin + kMacs, kTag);
  put16<0>(tag, says_which ? header.tp_vlan_tpid : std::uint16_t{ETH_P_8021Q});
  put16<2>(tag, header.tp_vlan_tci);
}

}  // namespace

std::expected<PacketRing, sys::SetupError> PacketRing::map(int fd, const RingShape& shape) {
  const std::size_t size = std::size_t{kRingBlock} * shape.blocks;
  void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) {
    return std::unexpected(sys::SetupError{"map the ring of a packet socket", errno, ""});
  }
  PacketRing ring({static_cast<std::uint8_t*>(memory), size}, shape);
  ring.mapped_ = true;
  return ring;
}

PacketRing::PacketRing(MutableBytes memory, const RingShape& shape)
    : memory_(memory), shape_(shape) {}

PacketRing::PacketRing(PacketRing&& other) noexcept
    : memory_(other.memory_),
      shape_(other.shape_),
      mapped_(std::exchange(other.mapped_, false)),
      next_(other.next_),
      taken_(other.taken_) {}

PacketRing::~PacketRing() {
  if (mapped_) ::munmap(memory_.data(), memory_.size());
}

MutableBytes PacketRing::slot(std::size_t number) const {
  const std::size_t block = number / shape_.slots_per_block;
  const std::size_t in_block = number % shape_.slots_per_block;
  return memory_.subspan(block * kRingBlock + in_block * shape_.slot_size, shape_.slot_size);
}

std::optional<std::uint64_t> PacketRing::next_at() const {
  if (taken_ == shape_.slots()) return std::nullopt;  // The next one is ours still.
  const MutableBytes next = slot(next_);
  if ((status_of(next) & TP_STATUS_USER) == 0) return std::nullopt;
  const tpacket2_hdr& header = *header_of(next);
  return std::uint64_t{header.tp_sec} * 1'000'000'000 + header.tp_nsec;
}

std::optional<wire::FrameIn> PacketRing::take() {
  const MutableBytes slot = this->slot(next_);
  next_ = next_ + 1 == shape_.slots() ? 0 : next_ + 1;
  ++taken_;
  const tpacket2_hdr& header = *header_of(slot);
  const std::size_t begin = header.tp_mac;
  const bool whole = header.tp_snaplen == header.tp_len && header.tp_snaplen >= ETH_HLEN &&
                     begin >= sizeof(tpacket2_hdr) + kHeaderSize && begin <= slot.size() &&
                     header.tp_snaplen <= slot.size() - begin;
  if (!whole) return std::nullopt;
  const auto about = slot.subspan(begin - kHeaderSize).first<kHeaderSize>();
  wire::FrameIn frame{slot.subspan(begin, header.tp_snaplen),
                      wire::VirtioNetHeader::parse_legacy(about)};
  if ((header.tp_status & TP_STATUS_VLAN_VALID) != 0) [[unlikely]] {
    put_tag_back(header, slot.data() + begin - kTag);
    frame.bytes = slot.subspan(begin - kTag, header.tp_snaplen + kTag);
    if (frame.offload.needs_checksum()) {
      frame.offload.csum_start = static_cast<std::uint16_t>(frame.offload.csum_start + kTag);
    }
  }
  return frame;
}

void PacketRing::give_back() {
  const std::size_t slots = shape_.slots();
  for (; taken_ > 0; --taken_) {
    const std::size_t number = (next_ + slots - taken_) % slots;
    std::atomic_ref(header_of(slot(number))->tp_status)
        .store(TP_STATUS_KERNEL, std::memory_order_release);
  }
}

}  // namespace sluice::link
