// Datagrams on their way between the driver and a socket, and the scratch room that batches of
// them need. Nothing here owns payload.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "wire/address.h"

namespace sluice::host {

// The kernel refuses more segments in one send (UDP_MAX_SEGMENTS of Linux 4.18 to 6.8).
inline constexpr std::size_t kMaxGsoSegments = 64;

struct OutgoingDatagram {
  wire::Endpoint target;
  std::span<const iovec> payload = {};
  // Above zero: the payload is cut into datagrams of this many bytes, the last may be shorter.
  std::uint16_t segment_size = 0;
  std::uint8_t hop_limit = 0;  // TTL or hop limit; 0 leaves the system's default.
  std::optional<wire::IpAddress> source = std::nullopt;  // The local address to send from.
  std::uint32_t scope_id = 0;                            // Interface index of a link-local target.
};

struct IncomingDatagram {
  std::span<iovec> buffer = {};  // Set by the caller.

  // Set by receive().
  std::size_t length = 0;
  // Above zero: the buffer holds several datagrams of this many bytes (UDP GRO), the last may be
  // shorter.
  std::uint16_t segment_size = 0;
  wire::Endpoint source;
  // Where it was sent to; only for sockets opened with packet information.
  std::optional<wire::IpAddress> destination = std::nullopt;
  std::uint32_t interface_index = 0;  // With packet information only.
  bool truncated = false;
};

// How many datagrams `bytes` are, of `segment_size` each (0: one).
[[nodiscard]] constexpr std::size_t datagrams_in(std::size_t bytes, std::size_t segment_size) {
  if (segment_size == 0 || bytes == 0) return 1;
  return (bytes + segment_size - 1) / segment_size;
}

// Room for the message headers of one batch. One per worker; allocated once.
class DatagramScratch {
 public:
  static constexpr std::size_t kBatch = 64;

  DatagramScratch();

 private:
  friend class UdpSocket;
  static constexpr std::size_t kControlSize = 128;

  struct Slot {
    sockaddr_storage name;
    alignas(cmsghdr) std::array<std::uint8_t, kControlSize> control;
  };
  struct Room {
    std::array<mmsghdr, kBatch> headers;
    std::array<Slot, kBatch> slots;
  };
  std::unique_ptr<Room> room_;
};

}  // namespace sluice::host
