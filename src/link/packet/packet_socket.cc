#include "link/packet/packet_socket.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <utility>

#include "wire/link/virtio_net.h"

namespace sluice::link {
namespace {

// Linux 6.6; absent from older headers.
constexpr int kHeaderSizeOption = 24;  // PACKET_VNET_HDR_SZ

// A send waits that long at most for frames that the guest's kernel has not looked at yet.
constexpr timeval kSendWait{.tv_sec = 0, .tv_usec = 1000};
// The kernel grants as much of it as net.core.wmem_max has.
constexpr int kSendBuffer = 4 * 1024 * 1024;

using Step = std::expected<void, sys::SetupError>;

std::unexpected<sys::SetupError> failed(std::string step) {
  std::string hint;
  if (errno == ENOMEM || errno == ENOBUFS) hint = "free memory, or let fewer workers do";
  return std::unexpected(sys::SetupError{std::move(step), errno, std::move(hint)});
}

template <typename Value>
bool set(int fd, int level, int name, const Value& value) {
  return ::setsockopt(fd, level, name, &value, sizeof value) == 0;
}

// Headers of VirtioNetHeader::kSizeLegacy, which is what a ring has whatever is asked for.
enum class Headers : std::uint8_t { kNone, kOld, kWithUdpBatches };
Headers ask_for_headers(int fd) {
  if (set(fd, SOL_PACKET, kHeaderSizeOption, int{wire::VirtioNetHeader::kSizeLegacy})) {
    return Headers::kWithUdpBatches;
  }
  return set(fd, SOL_PACKET, PACKET_VNET_HDR, 1) ? Headers::kOld : Headers::kNone;
}

// Frames up to kShortFrameMax, or those that are longer.
bool take_only(int fd, bool is_short) {
  const std::uint32_t whole = 0xffff'ffff;
  std::array<sock_filter, 4> code{
      sock_filter{BPF_LD | BPF_W | BPF_LEN, 0, 0, 0},
      sock_filter{BPF_JMP | BPF_JGT | BPF_K, 0, 1, kShortFrameMax},
      sock_filter{BPF_RET | BPF_K, 0, 0, is_short ? 0 : whole},
      sock_filter{BPF_RET | BPF_K, 0, 0, is_short ? whole : 0},
  };
  const sock_fprog filter{.len = code.size(), .filter = code.data()};
  return set(fd, SOL_SOCKET, SO_ATTACH_FILTER, filter);
}

bool set_up_ring(int fd, const RingShape& shape) {
  if (!set(fd, SOL_PACKET, PACKET_VERSION, int{TPACKET_V2})) return false;
  const tpacket_req request{.tp_block_size = kRingBlock,
                            .tp_block_nr = shape.blocks,
                            .tp_frame_size = shape.slot_size,
                            .tp_frame_nr = static_cast<unsigned>(shape.slots())};
  return set(fd, SOL_PACKET, PACKET_RX_RING, request);
}

// Frames come from the bind on.
bool bind_to(int fd, std::uint32_t interface) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(interface);
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

struct Opened {
  UniqueFd fd;
  bool udp_batches = false;
};

std::expected<Opened, sys::SetupError> open_one(std::uint32_t interface, const RingShape& shape,
                                                bool is_short) {
  Opened opened;
  opened.fd = UniqueFd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  const int fd = opened.fd.get();
  if (fd < 0) return failed("open a packet socket");
  const Headers headers = ask_for_headers(fd);
  opened.udp_batches = headers == Headers::kWithUdpBatches;
  if (headers == Headers::kNone) return failed("virtio-net headers on a packet socket");
  // What we send ourselves is not for us.
  if (!set(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1) ||
      !set(fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1) ||
      !set(fd, SOL_SOCKET, SO_SNDTIMEO, kSendWait) ||
      !set(fd, SOL_SOCKET, SO_SNDBUF, kSendBuffer)) {
    return failed("set up a packet socket");
  }
  if (!take_only(fd, is_short)) return failed("filter of a packet socket");
  if (!set_up_ring(fd, shape)) return failed("ring of a packet socket");
  if (!bind_to(fd, interface)) return failed("bind a packet socket");
  return opened;
}

bool share_by_flow(int fd, bool is_short) {
  const int group = is_short ? 1 : 2;
  return set(fd, SOL_PACKET, PACKET_FANOUT, group | PACKET_FANOUT_HASH << 16);
}

}  // namespace

std::expected<PacketSockets, sys::SetupError> open_packet_sockets(std::uint32_t interface,
                                                                  std::size_t queues) {
  const QueueRings rings = rings_of(queues);
  PacketSockets result;
  for (std::size_t i = 0; i < queues; ++i) {
    for (const bool is_short : {true, false}) {
      auto opened = open_one(interface, is_short ? rings.for_short : rings.for_long, is_short);
      if (!opened) return std::unexpected(opened.error());
      if (queues > 1 && !share_by_flow(opened->fd.get(), is_short)) {
        return failed("share frames among packet sockets");
      }
      result.udp_batches = opened->udp_batches;
      result.sockets.push_back(std::move(opened->fd));
    }
  }
  return result;
}

}  // namespace sluice::link
