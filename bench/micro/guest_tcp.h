// One TCP connection of the guest, seen from the guest: it keeps the sequence numbers, and its
// frames are built beforehand, so that an operation only patches numbers into them.
#pragma once

#include <array>
#include <string_view>

#include "micro/engine_driver.h"
#include "unit/flow/engine/guest_frames.h"

namespace sluice::bench {

enum class Family : std::uint8_t { kV4, kV6 };

inline constexpr std::array kFamilies{Family::kV4, Family::kV6};

[[nodiscard]] constexpr std::string_view name_of(Family family) {
  return family == Family::kV4 ? "v4" : "v6";
}
// The guest's address, with a port.
[[nodiscard]] wire::Endpoint guest_endpoint(Family family, std::uint16_t port);
// A server on the net: its number `server` chooses the address.
[[nodiscard]] wire::Endpoint remote_endpoint(Family family, std::uint16_t port,
                                             std::uint8_t server = 7);

class GuestTcp {
 public:
  static constexpr std::uint8_t kWindowScale = 7;

  // `window` in bytes, of all segments but the SYN.
  GuestTcp(const flow::GuestNetwork& network, const wire::Endpoint& guest,
           const wire::Endpoint& remote, std::uint32_t window = 0xffffU << kWindowScale,
           const wire::VirtioNetHeader& offload = kVouched);

  // The guest connects, the host answers: until the flow relays.
  void establish(EngineDriver& driver);
  // A client outside connects to the guest's port: until the guest has our SYN.
  void call_in(EngineDriver& driver);
  // The same, until the flow relays.
  void accept(EngineDriver& driver);

  [[nodiscard]] ByteView syn() const { return syn_; }
  [[nodiscard]] ByteView syn_ack() { return patched(syn_ack_, kIsn); }
  [[nodiscard]] ByteView ack() { return patched(ack_, next); }
  // The next `data_size()` bytes of the guest's stream; counts them as sent.
  [[nodiscard]] ByteView data();
  [[nodiscard]] ByteView fin();
  [[nodiscard]] ByteView rst() { return patched(rst_, next); }
  void set_data_size(const flow::GuestNetwork& network, std::size_t size);

  wire::SeqNum next;       // The guest's next number.
  wire::SeqNum host_next;  // The engine's next number, as far as the guest has it.
  flow::TcpId id;

 private:
  // Our SYN-ACK, or SYN, is the driver's newest frame: takes its number.
  void learn_host_sequence(const EngineDriver& driver);

  static constexpr wire::SeqNum kIsn{999};

  [[nodiscard]] ByteView patched(flow::test::Bytes& frame, wire::SeqNum sequence) const;
  [[nodiscard]] flow::test::Bytes build(const flow::GuestNetwork& network, wire::TcpFlags flags,
                                        std::size_t payload_size) const;

  wire::Endpoint guest_;
  wire::Endpoint remote_;
  std::uint32_t window_;
  wire::VirtioNetHeader offload_;
  std::size_t tcp_at_;  // Of the TCP header in a frame.
  std::uint32_t data_size_ = 0;
  flow::test::Bytes syn_;
  flow::test::Bytes syn_ack_;
  flow::test::Bytes ack_;
  flow::test::Bytes fin_;
  flow::test::Bytes rst_;
  flow::test::Bytes data_;
};

}  // namespace sluice::bench
