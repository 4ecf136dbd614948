// Datagrams on their way through one socket, in order. Where several of one size follow each other
// they become one send (UDP GSO), and all sends of a batch one system call. Borrows the payload
// until flush(). Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "host/datagram.h"
#include "host/udp_socket.h"

namespace sluice::forward {

struct BatchResult {
  std::uint64_t bytes = 0;    // Taken by the kernel.
  std::uint64_t dropped = 0;  // Datagrams that the kernel refused or had no room for.
  int error = 0;              // errno of the first refusal; 0: none.
};

class DatagramBatch {
 public:
  // Where the datagrams go: target, source and scope of `route`; the rest is not looked at.
  explicit DatagramBatch(host::DatagramScratch& scratch) : scratch_(scratch) {}

  // False: it is full; flush() and add again. `segment_size` above zero: `payload` is several
  // datagrams of this size, the last may be shorter.
  [[nodiscard]] bool add(ByteView payload, std::uint16_t segment_size);
  [[nodiscard]] bool empty() const { return rows_used_ == 0; }
  // Sends all and is empty again. What the socket has no room for is lost, as on any full link.
  BatchResult flush(host::UdpSocket& socket, const host::OutgoingDatagram& route);

 private:
  static constexpr std::size_t kRowsMax = host::DatagramScratch::kBatch;
  static constexpr std::size_t kPartsMax = 512;

  struct Row {
    std::size_t first_part = 0;
    std::size_t parts = 0;
    std::size_t bytes = 0;
    std::uint16_t segment_size = 0;
    bool open = false;  // Another of the same size may follow.
  };

  [[nodiscard]] bool extend(ByteView payload);
  void prepare(const host::OutgoingDatagram& route);

  host::DatagramScratch& scratch_;
  std::array<Row, kRowsMax> rows_;
  std::array<iovec, kPartsMax> parts_;
  std::array<host::OutgoingDatagram, kRowsMax> outgoing_;
  std::size_t rows_used_ = 0;
  std::size_t parts_used_ = 0;
};

}  // namespace sluice::forward
