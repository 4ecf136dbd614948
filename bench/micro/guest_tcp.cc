#include "micro/guest_tcp.h"

namespace sluice::bench {

wire::Endpoint guest_endpoint(Family family, std::uint16_t port) {
  const flow::GuestNetwork network;
  return {family == Family::kV4 ? network.guest_v4 : network.guest_v6, wire::Port{port}};
}

wire::Endpoint remote_endpoint(Family family, std::uint16_t port, std::uint8_t server) {
  std::array<std::uint8_t, 16> octets{0x20, 0x01, 0x0d, 0xb8};
  octets[15] = server;
  const wire::IpAddress address = family == Family::kV4
                                      ? wire::IpAddress::v4(0xc633'6400U + server)
                                      : wire::IpAddress::v6(FixedView<16>(octets));
  return {address, wire::Port{port}};
}

GuestTcp::GuestTcp(const flow::GuestNetwork& network, const wire::Endpoint& guest,
                   const wire::Endpoint& remote, std::uint32_t window,
                   const wire::VirtioNetHeader& offload)
    : next(kIsn + 1),
      guest_(guest),
      remote_(remote),
      window_(window),
      offload_(offload),
      tcp_at_(14 + flow::ip_header_size(guest.address)),
      syn_(build(network, wire::kSyn, 0)),
      syn_ack_(build(network, wire::kSyn | wire::kAck, 0)),
      ack_(build(network, wire::kAck, 0)),
      fin_(build(network, wire::kFin | wire::kAck, 0)),
      rst_(build(network, wire::kRst | wire::kAck, 0)) {}

flow::test::Bytes GuestTcp::build(const flow::GuestNetwork& network, wire::TcpFlags flags,
                                  std::size_t payload_size) const {
  flow::test::GuestSegment segment{.guest = guest_,
                                   .remote = remote_,
                                   .sequence = kIsn,
                                   .flags = flags,
                                   .payload = flow::test::stream(0, payload_size)};
  if (flags.syn()) {
    segment.options = {.mss = guest_.address.is_v4() ? std::uint16_t{1460} : std::uint16_t{1440},
                       .window_scale = kWindowScale,
                       .sack_permitted = true};
  } else {
    segment.window = static_cast<std::uint16_t>(window_ >> kWindowScale);
  }
  return flow::test::tcp_frame(network, segment);
}

void GuestTcp::set_data_size(const flow::GuestNetwork& network, std::size_t size) {
  data_size_ = static_cast<std::uint32_t>(size);
  data_ = build(network, wire::kAck | wire::kPsh, size);
}

ByteView GuestTcp::patched(flow::test::Bytes& frame, wire::SeqNum sequence) const {
  const MutableBytes segment = MutableBytes(frame).subspan(tcp_at_);
  const auto header = segment.first<wire::TcpView::kHeaderSize>();
  put32<4>(header, sequence.value);
  put32<8>(header, host_next.value);
  if (!offload_.needs_checksum()) {
    put16<16>(header, 0);
    const std::uint16_t sum =
        wire::tcp_checksum(guest_.address, remote_.address, segment, ByteView());
    put16<16>(header, sum);
  }
  return frame;
}

ByteView GuestTcp::data() {
  const ByteView frame = patched(data_, next);
  next += data_size_;
  return frame;
}

ByteView GuestTcp::fin() {
  const ByteView frame = patched(fin_, next);
  next += 1;
  return frame;
}

void GuestTcp::learn_host_sequence(const EngineDriver& driver) {
  const auto header = driver.last_header().subspan(tcp_at_).first<wire::TcpView::kHeaderSize>();
  require(wire::TcpFlags{header[13]}.syn(), "the engine's newest frame is a SYN or SYN-ACK");
  host_next = wire::SeqNum{be32<4>(header)} + 1;
}

void GuestTcp::establish(EngineDriver& driver) {
  const std::uint64_t connects = driver.carried.connects;
  next = kIsn + 1;
  driver.turn(syn_, offload_);
  require(driver.carried.connects == connects + 1, "the SYN leads to a connect");
  id = driver.connecting;
  driver.tcp().on_connected(id, EngineDriver::kRoom, {driver.now, driver.sink});
  driver.settle();
  learn_host_sequence(driver);
  driver.turn(ack(), offload_);
}

void GuestTcp::call_in(EngineDriver& driver) {
  const auto opened =
      driver.tcp().on_inbound(remote_, guest_, EngineDriver::kRoom, {driver.now, driver.sink});
  require(opened.has_value(), "a client outside is let in");
  id = *opened;
  driver.settle();
  learn_host_sequence(driver);
}

void GuestTcp::accept(EngineDriver& driver) {
  call_in(driver);
  next = kIsn + 1;
  driver.turn(syn_ack(), offload_);
}

}  // namespace sluice::bench
