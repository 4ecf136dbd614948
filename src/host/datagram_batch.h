// Datagrams on their way through one socket, in order. Where several of one size follow each other
// to the same place they become one send (UDP GSO), and all sends of a batch one system call.
// Borrows the payload until flush(). Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
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
    if (same_route(route)) return;
    route_ = route;
    if (sends_used_ > 0) sends_[sends_used_ - 1].open = false;
  }
  // False: it is full; flush() and add again. `segment_size` above zero: `payload` is several
  // datagrams of this size, the last may be shorter.
  [[nodiscard]] bool add(ByteView payload, std::uint16_t segment_size);

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
    std::size_t bytes = 0;
    bool open = false;  // Another datagram of the same size may follow.
  };

  [[nodiscard]] bool same_route(const OutgoingDatagram& route) const {
    return route.target == route_.target && route.hop_limit == route_.hop_limit &&
           route.source == route_.source && route.scope_id == route_.scope_id;
  }
  [[nodiscard]] bool extend(ByteView payload);
  void begin_send(ByteView payload, std::uint16_t segment_size);
  void drop(std::size_t send, BatchResult& result) const;

  DatagramScratch& scratch_;
  OutgoingDatagram route_;
  std::array<Send, kSendsMax> sends_;
  std::array<OutgoingDatagram, kSendsMax> outgoing_;  // The same sends, as the socket wants them.
  std::array<iovec, kPartsMax> parts_;
  std::size_t sends_used_ = 0;
  std::size_t parts_used_ = 0;
  std::vector<BatchResult::Refusal> refusals_;
};

}  // namespace sluice::host
