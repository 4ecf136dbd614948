// Asks the host's resolvers for the engine: over UDP by dns_sockets.h, over TCP by a connection for
// each question. Follows resolv.conf. Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "driver/io/dns_sockets.h"
#include "driver/io/event_tag.h"
#include "driver/io/io_context.h"
#include "flow/core/action.h"
#include "flow/engine/engine.h"
#include "host/tcp_socket.h"
#include "resolv/resolver_config.h"

namespace sluice::driver {

class DnsIo {
 public:
  // References are not owned. Hands the resolvers to the engine.
  DnsIo(IoContext context, flow::Engine& engine, resolv::ResolverConfig resolvers);

  // Call it before the engine is given questions, so that they find the resolvers of now. Whether
  // they are others than before.
  [[nodiscard]] bool follow_resolvers(Instant now);
  [[nodiscard]] const resolv::ResolvConf& resolvers() const { return resolvers_.current(); }
  // Those that somebody else follows.
  void use_resolvers(const resolv::ResolvConf& resolvers);
  // Carries out the engine's DNS actions.
  void run_actions(flow::Turn turn);
  void on_event(const EventTag& tag, std::uint32_t events, flow::Turn turn);

 private:
  static constexpr std::size_t kMessageMax = 65'536;
  // More than this many questions over TCP wait for each other: descriptors are the guest's, too.
  static constexpr std::size_t kTcpMax = 256;

  struct TcpAttempt {
    host::TcpSocket socket;
    std::vector<std::uint8_t> outgoing;  // With its length in front.
    std::size_t sent = 0;
    std::vector<std::uint8_t> incoming;
  };

  void hand_over_resolvers();
  [[nodiscard]] std::expected<host::TcpSocket, sys::SysError> connect(
      const dns::OpenDnsTcp& action) const;
  // The interface of the resolver that was at this place of the list.
  [[nodiscard]] std::uint32_t scope_of(std::size_t index, const wire::Endpoint& resolver) const;
  void open_tcp(dns::OpenDnsTcp& action, flow::Turn turn);
  void close(dns::DnsSlot slot);
  // Those that waited for one to be closed.
  void open_waiting(flow::Turn turn);
  void tell_failed(flow::Turn turn);
  void on_udp(const EventTag& tag, std::uint32_t events, flow::Turn turn);
  void on_tcp(dns::DnsSlot slot, std::uint32_t events, flow::Turn turn);
  // Hands the answer on once it is whole.
  void read_answer(dns::DnsSlot slot, TcpAttempt& attempt, flow::Turn turn);
  void fail(dns::DnsSlot slot, flow::Turn turn);

  sys::Kernel& kernel_;
  sys::EventLoop& loop_;
  flow::Engine& engine_;
  const host::Outbound& outbound_;
  resolv::ResolverConfig resolvers_;
  DnsSockets udp_;
  std::vector<dns::DnsAction> actions_;  // Those being carried out.
  std::vector<dns::DnsSlot> failed_;
  std::unordered_map<std::uint32_t, TcpAttempt> tcp_;  // By slot.
  std::deque<dns::OpenDnsTcp> waiting_;                // Bounded by the relay.
  std::unique_ptr<std::uint8_t[]> buffer_;             // Taken with the first question over TCP.
};

}  // namespace sluice::driver
