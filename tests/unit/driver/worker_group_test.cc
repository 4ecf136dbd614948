// Several workers for one guest, in threads: whatever the guest does, by whichever of its links, is
// as if there were one.
#include "driver/worker_group.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>
#include <map>
#include <set>
#include <string>

#include "host/listener.h"
#include "sys/sockaddr.h"
#include "unit/driver/group_rig.h"
#include "unit/sys/loopback.h"

namespace sluice::driver {
namespace {

using namespace std::chrono_literals;
using flow::test::Bytes;
using flow::test::endpoint;
using flow::test::Received;

// A socket on the host's loopback, with a port that the kernel chose.
class HostSocket {
 public:
  explicit HostSocket(int type) : fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    const sys::SocketAddress any = sys::to_sockaddr({sys::ip("127.0.0.1"), wire::Port{0}});
    EXPECT_EQ(::bind(fd.get(), any.get(), any.length), 0);
    EXPECT_EQ(type == SOCK_STREAM ? ::listen(fd.get(), 1000) : 0, 0);
    sockaddr_in name{};
    socklen_t length = sizeof name;
    EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&name), &length), 0);
    port = wire::Port{ntohs(name.sin_port)};
  }
  UniqueFd fd;
  wire::Port port;
};

// Answers what comes to a socket, in a thread of its own, until it is destroyed.
class Answering {
 public:
  Answering(int type, std::function<std::string(std::string)> answer)
      : socket(type), answer_(std::move(answer)), thread_([this, type] { run(type); }) {}
  ~Answering() {
    stopping_ = true;
    thread_.join();
  }
  HostSocket socket;

 private:
  void run(int type) {
    std::vector<UniqueFd> clients;
    while (!stopping_) {
      std::vector<pollfd> items{{.fd = socket.fd.get(), .events = POLLIN, .revents = 0}};
      for (const UniqueFd& one : clients) items.push_back({one.get(), POLLIN, 0});
      if (::poll(items.data(), items.size(), 20) <= 0) continue;
      if (items[0].revents != 0 && type == SOCK_STREAM) {
        clients.emplace_back(::accept4(socket.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
      } else if (items[0].revents != 0) {
        answer_to(socket.fd.get());
      }
      for (std::size_t i = 1; i < items.size(); ++i) {
        if (items[i].revents != 0 && !answer_to(items[i].fd)) clients[i - 1].reset();
      }
      std::erase_if(clients, [](const UniqueFd& one) { return !one.valid(); });
    }
  }
  bool answer_to(int fd) {
    std::array<char, 4096> bytes{};
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    const ssize_t got = ::recvfrom(fd, bytes.data(), bytes.size(), MSG_DONTWAIT,
                                   reinterpret_cast<sockaddr*>(&from), &length);
    if (got <= 0) return false;
    const std::string text = answer_({bytes.data(), static_cast<std::size_t>(got)});
    const bool named = length != 0 && from.ss_family == AF_INET;
    return ::sendto(fd, text.data(), text.size(), MSG_NOSIGNAL,
                    named ? reinterpret_cast<sockaddr*>(&from) : nullptr, named ? length : 0) > 0;
  }

  std::function<std::string(std::string)> answer_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

[[nodiscard]] std::string echoed(std::string text) { return "you said " + text; }
[[nodiscard]] std::string text_of(ByteView bytes) { return {bytes.begin(), bytes.end()}; }
[[nodiscard]] Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

class WorkerGroupTest : public ::testing::Test, protected GroupRig {
 protected:
  static constexpr std::size_t kWorkers = 3;

  void begin() { begin(WorkerOptions()); }
  void begin(WorkerOptions options) {
    if (options.resolvers.current().resolvers.empty()) {
      options.resolvers = resolv::ResolverConfig::of({});  // Not those of this machine.
    }
    options.engine.host_loopback = true;
    options.keep_report = true;
    start(kWorkers, std::move(options));
  }
  // What the guest calls the host's loopback.
  [[nodiscard]] wire::Endpoint host(wire::Port port) const { return {network.gateway_v4, port}; }
  [[nodiscard]] wire::Endpoint guest(std::uint16_t port) const {
    return {network.guest_v4, wire::Port{port}};
  }

  struct Connection {
    wire::Endpoint guest;
    wire::Endpoint host;
    wire::SeqNum next{1001};
    wire::SeqNum host_next{};
    std::size_t link = 0;  // By which the host's part came.
  };
  void send_segment(const Connection& c, std::size_t link, wire::TcpFlags flags,
                    const Bytes& payload = {}) {
    send(link, flow::test::tcp_frame(network, {.guest = c.guest,
                                               .remote = c.host,
                                               .sequence = c.next,
                                               .acknowledgment = c.host_next,
                                               .flags = flags,
                                               .payload = payload}));
  }
  [[nodiscard]] auto of(const Connection& c) const {
    return [guest = c.guest, host = c.host](const Received& frame) {
      return frame.is(wire::IpProtocol::kTcp) && frame.packet().destination == guest.address &&
             frame.tcp().destination_port() == guest.port && frame.tcp().source_port() == host.port;
    };
  }
  // By `link`; whatever is sent later may go by another one.
  void send_syn(const wire::Endpoint& guest, const wire::Endpoint& host, std::size_t link) {
    send(link, flow::test::tcp_frame(network, {.guest = guest,
                                               .remote = host,
                                               .sequence = wire::SeqNum{1000},
                                               .flags = wire::kSyn}));
  }
  std::optional<Connection> open(const wire::Endpoint& guest, const wire::Endpoint& host,
                                 std::size_t link) {
    Connection c{.guest = guest, .host = host};
    send_syn(guest, host, link);
    const auto answer = expect(of(c));
    if (!answer || !answer->frame.tcp().flags().syn()) return std::nullopt;
    c.host_next = answer->frame.tcp().sequence() + 1;
    c.link = answer->link;
    send_segment(c, (link + 1) % kWorkers, wire::kAck);
    return c;
  }
  // Until so much has come.
  std::string hear(Connection& c, std::size_t size) {
    std::string heard;
    while (heard.size() < size) {
      const auto more = expect(of(c));
      if (!more) break;
      const wire::TcpView segment = more->frame.tcp();
      if (segment.payload().empty() || segment.sequence() != c.host_next) continue;
      heard += text_of(segment.payload());
      c.host_next = c.host_next + static_cast<std::uint32_t>(segment.payload().size());
      send_segment(c, more->link, wire::kAck);
    }
    return heard;
  }
  void say(Connection& c, std::size_t link, std::string_view text) {
    send_segment(c, link, wire::kAck | wire::kPsh, bytes_of(text));
    c.next = c.next + static_cast<std::uint32_t>(text.size());
  }
  [[nodiscard]] std::uint64_t drops(flow::DropReason reason) {
    std::uint64_t count = 0;
    in_first([&] {
      for (const telemetry::Counter& one : workers->snapshot().drops) {
        if (one.name == flow::to_string(reason)) count = one.value;
      }
    });
    return count;
  }
  // The report of all, in the end.
  [[nodiscard]] std::string end() {
    take_over();
    workers->begin_drain(outside());
    (void)workers->finish(outside());
    return telemetry::report_text(workers->snapshot(), telemetry::ReportFormat::kJson,
                                  telemetry::Color::kOff);
  }
};

TEST_F(WorkerGroupTest, ConnectionsPassByWhicheverLinkTheirFramesCome) {
  const Answering server(SOCK_STREAM, echoed);
  begin();
  constexpr std::uint16_t kConnections = 24;
  std::set<std::size_t> used;
  for (std::uint16_t i = 0; i < kConnections; ++i) {
    const std::size_t link = i % kWorkers;
    auto c = open(guest(static_cast<std::uint16_t>(40'000 + i)), host(server.socket.port), link);
    ASSERT_TRUE(c.has_value()) << i;
    EXPECT_EQ(c->link, owner.of_tcp(c->guest.port, c->host)) << "its owner answers";
    used.insert(c->link);
    const std::string text = "this is " + std::to_string(i);
    say(*c, (link + 1) % kWorkers, text);
    EXPECT_EQ(hear(*c, 9 + text.size()), "you said " + text);
    say(*c, (link + 2) % kWorkers, "more");
    EXPECT_EQ(hear(*c, 13), "you said more");
  }
  EXPECT_EQ(used.size(), kWorkers) << "all have had something to do";
  const std::string report = end();
  EXPECT_NE(report.find("\"flows\": 24"), std::string::npos) << report;
}

TEST_F(WorkerGroupTest, DatagramsAndErrorsComeFromTheirOwner) {
  const Answering server(SOCK_DGRAM, echoed);
  const wire::Port closed = HostSocket(SOCK_DGRAM).port;  // Of a socket that is gone.
  begin();
  for (std::uint16_t i = 0; i < 12; ++i) {
    const auto from = guest(static_cast<std::uint16_t>(30'000 + i));
    send(i % kWorkers,
         flow::test::udp_frame(network, from, host(server.socket.port), bytes_of("hi")));
    const auto answer = expect([&](const Received& frame) {
      return frame.is(wire::IpProtocol::kUdp) && frame.udp().destination_port() == from.port;
    });
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(text_of(answer->frame.udp().payload()), "you said hi");
    EXPECT_EQ(answer->link, owner.of_udp(from.port));
    send((i + 1) % kWorkers, flow::test::udp_frame(network, from, host(closed), bytes_of("hi")));
    const auto error =
        expect([](const Received& frame) { return frame.is(wire::IpProtocol::kIcmp); });
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->frame.icmp().type(), wire::IcmpType::kDestinationUnreachable);
    EXPECT_EQ(error->link, owner.of_udp(from.port));
  }
}

TEST_F(WorkerGroupTest, NamesAreAnsweredByTheFirst) {
  const Answering resolver(SOCK_DGRAM, [](std::string question) {
    question[2] = static_cast<char>(0x81);  // An answer, without a record.
    question[3] = static_cast<char>(0x80);
    return question;
  });
  WorkerOptions options;
  options.resolvers = resolv::ResolverConfig::of({{sys::ip("127.0.0.1"), resolver.socket.port}});
  begin(std::move(options));
  const Bytes name{7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 3, 'o', 'r', 'g', 0, 0, 1, 0, 1};
  for (std::uint16_t i = 0; i < 6; ++i) {
    Bytes question{0x12, static_cast<std::uint8_t>(i), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    question.insert(question.end(), name.begin(), name.end());
    question[13] = static_cast<std::uint8_t>('a' + i);
    const auto from = guest(static_cast<std::uint16_t>(20'000 + i));
    send(i % kWorkers,
         flow::test::udp_frame(network, from, {network.dns_v4, wire::Port{53}}, question));
    const auto answer = expect([&](const Received& frame) {
      return frame.is(wire::IpProtocol::kUdp) && frame.udp().destination_port() == from.port;
    });
    ASSERT_TRUE(answer.has_value()) << i;
    EXPECT_EQ(answer->link, 0U);
    EXPECT_EQ(answer->frame.udp().payload()[1], i);
  }
}

TEST_F(WorkerGroupTest, PingAndArpAreAnsweredByTheFirst) {
  begin();
  for (std::size_t link = 0; link < kWorkers; ++link) {
    send(link, flow::test::ping_frame(network, network.gateway_v4, 7, 1, bytes_of("ping")));
    const auto echo =
        expect([](const Received& frame) { return frame.is(wire::IpProtocol::kIcmp); });
    ASSERT_TRUE(echo.has_value());
    EXPECT_EQ(echo->link, 0U);
    send(link, flow::test::arp_request(network, network.gateway_v4));
    const auto arp = expect([](const Received& frame) { return !frame.is_ip(); });
    ASSERT_TRUE(arp.has_value());
    EXPECT_EQ(arp->link, 0U);
  }
}

TEST_F(WorkerGroupTest, ADatagramInFragmentsComesToItsOwner) {
  const Answering server(SOCK_DGRAM, echoed);
  begin();
  std::set<std::size_t> owners;
  for (std::uint16_t i = 0; i < 12; ++i) {
    const auto from = guest(static_cast<std::uint16_t>(30'000 + i));
    owners.insert(owner.of_udp(from.port));
    const Bytes datagram =
        flow::test::udp_datagram(from, host(server.socket.port), flow::test::stream(0, 1000));
    for (std::size_t piece = 0; piece < 2; ++piece) {
      const std::size_t begin = piece * 504;
      const std::size_t size = piece == 0 ? 504 : datagram.size() - 504;
      Bytes frame(14 + 20);
      const MutableBytes all(frame);
      wire::emit_ethernet(all.first<14>(), network.gateway_mac, network.guest_mac,
                          wire::EtherType::kIpv4);
      wire::Ipv4Repr{.source = from.address,
                     .destination = network.gateway_v4,
                     .protocol = wire::IpProtocol::kUdp,
                     .payload_length = static_cast<std::uint16_t>(size),
                     .identification = i,
                     .dont_fragment = false,
                     .more_fragments = piece == 0,
                     .fragment_offset = static_cast<std::uint16_t>(begin)}
          .emit(all.subspan(14).first<20>());
      const auto at = datagram.begin() + static_cast<std::ptrdiff_t>(begin);
      frame.insert(frame.end(), at, at + static_cast<std::ptrdiff_t>(size));
      send((i + piece) % kWorkers, frame);
    }
    const auto answer = expect([&](const Received& frame) {
      return frame.is(wire::IpProtocol::kUdp) && frame.udp().destination_port() == from.port;
    });
    ASSERT_TRUE(answer.has_value()) << i;
    EXPECT_EQ(answer->frame.udp().payload().size(), 1009U);
    EXPECT_EQ(answer->link, owner.of_udp(from.port));
  }
  EXPECT_EQ(owners.size(), kWorkers);
}

TEST_F(WorkerGroupTest, ClientsOfAPublishedPortComeToWhoHasTheirFlow) {
  WorkerOptions options;
  auto listener = host::TcpListener::open(sys::real_kernel(), {sys::ip("127.0.0.1"), wire::Port{0}},
                                          {.accepted = {.urgent_inline = true, .guarded = true}});
  ASSERT_TRUE(listener.has_value());
  const sys::SocketAddress target = sys::to_sockaddr(listener->local_endpoint().value());
  options.published.tcp.push_back({std::move(*listener), guest(80)});
  begin(std::move(options));
  std::vector<UniqueFd> clients;
  std::set<std::size_t> used;
  for (std::size_t i = 0; i < 16; ++i) {
    clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(clients.back().get(), target.get(), target.length), 0);
    const auto syn = expect([](const Received& frame) {
      return frame.is(wire::IpProtocol::kTcp) && frame.tcp().flags().syn();
    });
    ASSERT_TRUE(syn.has_value());
    Connection c{.guest = guest(80),
                 .host = {network.gateway_v4, syn->frame.tcp().source_port()},
                 .next = wire::SeqNum{1000},
                 .host_next = syn->frame.tcp().sequence() + 1,
                 .link = syn->link};
    EXPECT_EQ(c.link, owner.of_tcp(c.guest.port, c.host));
    used.insert(c.link);
    send_segment(c, i % kWorkers, wire::kSyn | wire::kAck);
    c.next = c.next + 1;
    // What goes by another link may overtake.
    ASSERT_TRUE(expect(of(c)).has_value());
    say(c, (i + 1) % kWorkers, "welcome");
    std::array<char, 16> heard{};
    ASSERT_TRUE(sys::wait_for(clients.back().get(), POLLIN, kPatience));
    EXPECT_EQ(::recv(clients.back().get(), heard.data(), heard.size(), 0), 7);
    ASSERT_EQ(::send(clients.back().get(), "thanks", 6, 0), 6);
    EXPECT_EQ(hear(c, 6), "thanks");
  }
  EXPECT_EQ(used.size(), kWorkers);
}

TEST_F(WorkerGroupTest, APublishedPortOfDatagramsIsWithItsOwner) {
  WorkerOptions options;
  std::map<std::uint16_t, sys::SocketAddress> targets;
  for (std::uint16_t port = 5000; port < 5012; ++port) {
    auto socket = host::UdpSocket::open(
        sys::real_kernel(), wire::IpFamily::kV4,
        {.bind = wire::Endpoint{sys::ip("127.0.0.1"), wire::Port{0}}, .packet_info = true});
    ASSERT_TRUE(socket.has_value());
    targets.emplace(port, sys::to_sockaddr(socket->local_endpoint().value()));
    options.published.udp.push_back({std::move(*socket), guest(port)});
  }
  begin(std::move(options));
  for (const auto& [port, target] : targets) {
    const UniqueFd client(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::sendto(client.get(), "hello", 5, 0, target.get(), target.length), 5);
    const auto came = expect([wanted = port](const Received& frame) {
      return frame.is(wire::IpProtocol::kUdp) && frame.udp().destination_port().value == wanted;
    });
    ASSERT_TRUE(came.has_value());
    EXPECT_EQ(came->link, owner.of_udp(wire::Port{port}));
    send(port % kWorkers,
         flow::test::udp_frame(network, guest(port),
                               {network.gateway_v4, came->frame.udp().source_port()},
                               bytes_of("answer")));
    std::array<char, 16> heard{};
    ASSERT_TRUE(sys::wait_for(client.get(), POLLIN, kPatience));
    EXPECT_EQ(::recv(client.get(), heard.data(), heard.size(), 0), 6);
  }
}

TEST_F(WorkerGroupTest, WhatOneLearnsOfTheGuestAllKnow) {
  WorkerOptions options;
  auto listener =
      host::TcpListener::open(sys::real_kernel(), {sys::ip("127.0.0.1"), wire::Port{0}});
  ASSERT_TRUE(listener.has_value());
  const sys::SocketAddress target = sys::to_sockaddr(listener->local_endpoint().value());
  options.published.tcp.push_back({std::move(*listener), guest(80)});
  begin(std::move(options));
  // Told to the first only.
  const wire::MacAddress mac{{0x02, 0, 0, 0, 0, 0x77}};
  network.guest_mac = mac;
  send(0, flow::test::arp_request(network, network.gateway_v4));
  ASSERT_TRUE(expect([](const Received& frame) { return !frame.is_ip(); }).has_value());
  std::set<std::size_t> used;
  std::vector<UniqueFd> clients;
  // The news may be under way to the others for a moment: none of them forgets it again.
  for (int i = 0; i < 200 && used.size() < kWorkers; ++i) {
    clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(clients.back().get(), target.get(), target.length), 0);
    const auto syn = expect([](const Received& frame) {
      return frame.is(wire::IpProtocol::kTcp) && frame.tcp().flags().syn();
    });
    ASSERT_TRUE(syn.has_value());
    if (syn->frame.ethernet().destination() == mac) used.insert(syn->link);
  }
  EXPECT_EQ(used.size(), kWorkers);
}

TEST_F(WorkerGroupTest, LimitsHoldOverAll) {
  const Answering server(SOCK_STREAM, echoed);
  WorkerOptions options;
  options.engine.limits.max_flows = 10;
  begin(std::move(options));
  std::size_t opened = 0;
  for (std::uint16_t i = 0; i < 30; ++i) {
    const auto from = guest(static_cast<std::uint16_t>(41'000 + i));
    if (open(from, host(server.socket.port), i % kWorkers)) ++opened;
  }
  EXPECT_EQ(opened, 10U);
  EXPECT_EQ(drops(flow::DropReason::kTooManyFlows), 20U);
}

TEST_F(WorkerGroupTest, CountsOfAllAreShownWhileTheyServe) {
  const Answering server(SOCK_STREAM, echoed);
  begin();
  for (std::uint16_t i = 0; i < 12; ++i) {
    ASSERT_TRUE(open(guest(static_cast<std::uint16_t>(42'000 + i)), host(server.socket.port),
                     i % kWorkers));
  }
  std::size_t flows = 0;
  in_first([&] { flows = workers->snapshot().flows; });
  EXPECT_EQ(flows, 12U);
}

TEST_F(WorkerGroupTest, WhatTheGuestLeftIsDeliveredByAll) {
  const HostSocket server(SOCK_STREAM);
  begin();
  // None of them reads; the guest sends all that is taken of it and ends.
  const std::string block(1000, 'x');
  std::vector<UniqueFd> hosts;
  std::vector<std::size_t> sent;
  for (std::uint16_t i = 0; i < 6; ++i) {
    auto c = open(guest(static_cast<std::uint16_t>(43'000 + i)), host(server.port), i % kWorkers);
    ASSERT_TRUE(c.has_value());
    hosts.emplace_back(::accept4(server.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(hosts.back().valid());
    for (int n = 0; n < 50; ++n) say(*c, i % kWorkers, block);
    send_segment(*c, i % kWorkers, wire::kFin | wire::kAck);
    sent.push_back(50 * block.size());
  }
  take_over();
  workers->begin_drain(outside());
  workers->close_link();
  std::size_t got = 0;
  const Instant patience = workers->now() + std::chrono::milliseconds(kPatience);
  bool delivered = false;
  while (!delivered && workers->now() < patience) {
    workers->turn(workers->now() + 5ms, outside());
    for (const UniqueFd& one : hosts) {
      std::array<char, 65'536> bytes{};
      const ssize_t more = ::recv(one.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
      if (more > 0) got += static_cast<std::size_t>(more);
    }
    delivered = got == 300'000 && workers->undelivered(outside()).flows == 0;
  }
  EXPECT_EQ(got, 300'000U);
  EXPECT_EQ(workers->undelivered(outside()).flows, 0U);
  EXPECT_TRUE(workers->finish(outside()).empty());
  const std::string report = telemetry::report_text(
      workers->snapshot(), telemetry::ReportFormat::kJson, telemetry::Color::kOff);
  EXPECT_NE(report.find("\"flows\": 6"), std::string::npos) << report;
  EXPECT_NE(report.find("\"bytes_to_host\": 300000"), std::string::npos) << report;
}

TEST_F(WorkerGroupTest, ALinkThatIsGoneIsToldInTheFirstsThread) {
  begin();
  close_link(1);
  int gone = 0;
  const Instant patience = Instant{} + std::chrono::milliseconds(kPatience);
  for (Instant now{}; gone == 0 && now < patience; now += 10ms) {
    in_first([&] { gone = links_gone; });
  }
  EXPECT_EQ(gone, 1);
}

}  // namespace
}  // namespace sluice::driver
