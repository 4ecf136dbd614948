// Connections that somebody makes in our place (flow/gate/way.h): he is connected to, told where it
// is to go, and heard. Then the socket is TcpIo's, as one that was connected to the target.
// Whatever goes wrong, the target is not connected to directly. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"
#include "driver/io/event_tag.h"
#include "driver/io/held_back.h"
#include "driver/io/io_context.h"
#include "driver/io/tcp_io.h"
#include "flow/core/action.h"
#include "flow/tcp/tcp_flows.h"
#include "host/tcp_socket.h"

namespace sluice::driver {

class Dialer {
 public:
  // For all of it, over all his addresses.
  static constexpr Duration kPatience = std::chrono::seconds(10);

  // References are not owned.
  Dialer(IoContext context, flow::TcpFlows& flows, TcpIo& tcp)
      : kernel_(context.kernel),
        loop_(context.loop),
        outbound_(context.outbound),
        flows_(flows),
        tcp_(tcp) {}

  // An action by_way. Answered as TcpIo answers others.
  void dial(const flow::ConnectTcp& action, flow::Turn turn);
  // False when it is none of ours.
  [[nodiscard]] bool close(flow::TcpId id);
  void on_event(const EventTag& tag, std::uint32_t events, flow::Turn turn);
  [[nodiscard]] Instant next_wakeup() const { return late_.next_wakeup(); }
  void on_time(flow::Turn turn);

 private:
  struct Dial {
    flow::TcpId id;
    host::TcpSocket socket;
    policy::ViaProtocol protocol{};
    std::vector<wire::Endpoint> endpoints{};  // Where he may be, in order.
    std::size_t next = 0;                     // Of them, to be tried.
    std::vector<std::uint8_t> preface{};      // What he is told.
    bool told = false;                        // His answer is waited for.
  };

  [[nodiscard]] Dial* find(flow::TcpId id);
  [[nodiscard]] bool start(Dial& dial, const wire::Endpoint& target);
  void try_next(Dial& dial, flow::Turn turn);
  void tell(Dial& dial, flow::Turn turn);
  void hear(Dial& dial, flow::Turn turn);
  void hand_on(Dial& dial, flow::Turn turn);
  void give_up(Dial& dial, flow::Turn turn);
  void forget(flow::TcpId id);

  sys::Kernel& kernel_;
  sys::EventLoop& loop_;
  const host::Outbound& outbound_;
  flow::TcpFlows& flows_;
  TcpIo& tcp_;
  std::vector<Dial> dials_;  // Few: each lives for a round trip or two.
  HeldBack late_;            // When each is given up, if it is there still.
};

}  // namespace sluice::driver
