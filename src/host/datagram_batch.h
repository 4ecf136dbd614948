// Datagrams on their way through one socket, in order. Where several of one size follow each other
// to the same place they become one send (UDP GSO), and all sends of a batch one system call.
// Borrows the payload until flush(). Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "host/datagram.h"
#include "host/udp_socket.h"

namespace sluice::host {

struct BatchResult {
  // One send that the kernel would not do.
  struct Refusal {
    wire::Endpoint target;
    int error = 0;
  };

  std::uint64_t bytes = 0;                 // Taken by the kernel.
  std::uint64_t dropped = 0;               // Datagrams that the kernel refused or had no room for.
  std::span<const Refusal> refusals = {};  // In their order; valid until the next flush().

  // errno of the first refusal; 0: none.
  [[nodiscard]] int error() const { return refusals.empty() ? 0 : refusals.front().error; }
};

class DatagramBatch {
 public:
  explicit DatagramBatch(DatagramScratch& scratch) : scratch_(scratch) {}

  // Where all goes that is added from here on: target, hop limit, source and scope of `route`; the
  // rest is not looked at.
  void direct(const OutgoingDatagram& route) {
    route_ = route;
    if (sends_used_ > 0) sends_[sends_used_ - 1].open = false;
  }
  // Whether all goes there already, without a scope: to ask costs less than to direct it again,
  // which begins another send.
  [[nodiscard]] bool goes_to(const wire::Endpoint& target, std::uint8_t hop_limit,
                             const std::optional<wire::IpAddress>& source) const {
    return target == route_.target && hop_limit == route_.hop_limit && source == route_.source &&
           route_.scope_id == 0;
  }
  // False: it is full; flush() and add again. `segment_size` above zero: `payload` is several
  // datagrams of this size, the last may be shorter.
  [[nodiscard]] bool add(ByteView payload, std::uint16_t segment_size) {
    if (parts_used_ == kPartsMax) return false;
    if ((segment_size != 0 || !extend(payload)) && !begin_send(payload, segment_size)) return false;
    // The kernel does not write to what it sends.
    parts_[parts_used_++] = {.iov_base = const_cast<std::uint8_t*>(payload.data()),
                             .iov_len = payload.size()};
    return true;
  }

  [[nodiscard]] bool empty() const { return sends_used_ == 0; }
  void clear() {
    sends_used_ = 0;
    parts_used_ = 0;
  }
  // Sends all and is empty again. What the socket has no room for is lost, as on any full link.
  BatchResult flush(UdpSocket& socket);

 private:
  static constexpr std::size_t kSendsMax = DatagramScratch::kBatch;
  static constexpr std::size_t kPartsMax = 512;

  struct Send {
    std::uint32_t bytes = 0;
    std::uint16_t first_part = 0;
    std::uint16_t parts = 0;
    std::uint16_t segment_size = 0;
    bool open = false;  // Another datagram of the same size may follow.
  };

  // What one UDP_SEGMENT send may carry.
  static constexpr std::size_t kSendBytesMax = 65'000;

  // The short way of a datagram that follows others of its size; in line for its sake.
  [[nodiscard]] bool extend(ByteView payload) {
    if (sends_used_ == 0) return false;
    Send& last = sends_[sends_used_ - 1];
    if (!last.open || payload.empty() || payload.size() > last.segment_size) return false;
    if (last.parts >= kMaxGsoSegments || last.bytes + payload.size() > kSendBytesMax) return false;
    ++last.parts;
    last.bytes += static_cast<std::uint32_t>(payload.size());
    last.open = payload.size() == last.segment_size;
    return true;
  }
  // False: there is no room for another send.
  [[nodiscard]] bool begin_send(ByteView payload, std::uint16_t segment_size);
  void prepare();
  void drop(std::size_t send, BatchResult& result) const;

  DatagramScratch& scratch_;
  OutgoingDatagram route_;
  std::array<Send, kSendsMax> sends_;
  std::array<OutgoingDatagram, kSendsMax> outgoing_;  // Their routes; all of them in flush().
  std::array<iovec, kPartsMax> parts_;
  std::size_t sends_used_ = 0;
  std::size_t parts_used_ = 0;
  std::vector<BatchResult::Refusal> refusals_;
};

}  // namespace sluice::host
