#include "host/port_holder.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "host/listener.h"
#include "host/udp_socket.h"
#include "sys/kernel.h"

namespace sluice::host {
namespace {

wire::Endpoint at(const char* address, wire::Port port = {}) {
  return {wire::parse_ip(address).value(), port};
}

TEST(PortHolder, WhoListensIsFoundByEachAddressThatTakesItsIn) {
  const auto listener = TcpListener::open(sys::real_kernel(), at("127.0.0.1")).value();
  const wire::Port port = listener.local_endpoint()->port;
  for (const char* const address : {"127.0.0.1", "0.0.0.0"}) {
    const auto holder = holder_of(at(address, port), PortKind::kTcp);
    ASSERT_TRUE(holder.has_value()) << address;
    EXPECT_EQ(holder->process, ::getpid());
    EXPECT_FALSE(holder->name.empty());
  }
  EXPECT_FALSE(holder_of(at("127.0.0.2", port), PortKind::kTcp).has_value());
  EXPECT_EQ(holder_text(at("127.0.0.2", port), PortKind::kTcp), "another program has this port");
}

TEST(PortHolder, ASocketOfIpv6IsFoundToo) {
  const auto listener =
      TcpListener::open(sys::real_kernel(), at("::"), {.dual_stack = true}).value();
  const wire::Port port = listener.local_endpoint()->port;
  EXPECT_EQ(holder_of(at("127.0.0.1", port), PortKind::kTcp)->process, ::getpid());
  EXPECT_EQ(holder_of(at("::1", port), PortKind::kTcp)->process, ::getpid());
}

TEST(PortHolder, SocketsOfUdpAreOthers) {
  const auto socket =
      UdpSocket::open(sys::real_kernel(), wire::IpFamily::kV4, {.bind = at("127.0.0.1")}).value();
  const wire::Port port = socket.local_endpoint()->port;
  const auto text = holder_text(at("127.0.0.1", port), PortKind::kUdp);
  EXPECT_NE(text.find(fmt::format("(process {}) has this port", ::getpid())), std::string::npos);
}

}  // namespace
}  // namespace sluice::host
