// Sockets to the host's resolvers: a fresh one for each attempt, so that its port is random and
// only the resolver that was asked can answer. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "driver/event_tag.h"
#include "flow/action.h"
#include "flow/engine.h"
#include "host/event_loop.h"
#include "host/kernel.h"
#include "host/resolver_config.h"
#include "host/tcp_socket.h"
#include "host/udp_socket.h"

namespace sluice::driver {

class DnsIo {
 public:
  // References are not owned. Hands the resolvers to the engine.
  DnsIo(host::Kernel& kernel, host::EventLoop& loop, flow::Engine& engine,
        host::ResolverConfig resolvers);

  // Carries out the engine's DNS actions.
  void run_actions(Instant now, flow::ActionSink& out);
  void on_event(const EventTag& tag, std::uint32_t events, Instant now, flow::ActionSink& out);

 private:
  static constexpr std::size_t kMessageMax = 65'536;

  struct UdpAttempt {
    host::UdpSocket socket;
    wire::Endpoint resolver;
  };
  struct TcpAttempt {
    host::TcpSocket socket;
    std::vector<std::uint8_t> outgoing;  // With its length in front.
    std::size_t sent = 0;
    std::vector<std::uint8_t> incoming;
  };

  void open_udp(const flow::OpenDnsUdp& action, Instant now, flow::ActionSink& out);
  void open_tcp(flow::OpenDnsTcp& action, Instant now, flow::ActionSink& out);
  void on_udp(flow::DnsSlot slot, Instant now, flow::ActionSink& out);
  void on_tcp(flow::DnsSlot slot, std::uint32_t events, Instant now, flow::ActionSink& out);
  // Hands the answer on once it is whole.
  void read_answer(flow::DnsSlot slot, TcpAttempt& attempt, Instant now, flow::ActionSink& out);
  void fail(flow::DnsSlot slot, Instant now, flow::ActionSink& out);

  host::Kernel& kernel_;
  host::EventLoop& loop_;
  flow::Engine& engine_;
  host::ResolverConfig resolvers_;
  std::unordered_map<std::uint32_t, UdpAttempt> udp_;  // By slot; bounded by the relay.
  std::unordered_map<std::uint32_t, TcpAttempt> tcp_;
  host::DatagramScratch scratch_;
  std::unique_ptr<std::uint8_t[]> buffer_;  // Taken with the first query.
};

}  // namespace sluice::driver
