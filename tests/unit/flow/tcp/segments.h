// Segments without packets around them, for tests of what reads segments.
#pragma once

#include <utility>

#include "unit/flow/engine/guest_frames.h"

namespace sluice::flow::test {

struct SegmentFields {
  wire::SeqNum sequence{};
  wire::SeqNum acknowledgment{};
  wire::TcpFlags flags = wire::kAck;
  std::uint16_t window = 0xffff;
  wire::TcpOptions options{};
};

class Segment {
 public:
  explicit Segment(const SegmentFields& fields)
      : frame_(tcp_frame(GuestNetwork{}, {.guest = endpoint("10.0.2.15:40000"),
                                          .remote = endpoint("198.51.100.7:80"),
                                          .sequence = fields.sequence,
                                          .acknowledgment = fields.acknowledgment,
                                          .flags = fields.flags,
                                          .window = fields.window,
                                          .options = fields.options})) {}

  [[nodiscard]] wire::TcpView view() const {
    const auto packet = wire::parse_ip_packet(ByteView(frame_).subspan(14));
    return wire::TcpView::parse(packet.value().payload).value();
  }

 private:
  Bytes frame_;
};

}  // namespace sluice::flow::test
