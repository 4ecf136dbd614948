// Listeners of TCP and sockets of UDP at the guest's loopback, which lead to the host's: made by
// the agent, one port of one family after the other. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "agent/agent.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "driver/io/event_tag.h"
#include "host/accept.h"
#include "host/listener.h"
#include "host/udp_socket.h"
#include "policy/port_map.h"
#include "sys/event_loop.h"
#include "sys/kernel.h"

namespace sluice::driver {

class LoopbackPorts {
 public:
  static constexpr std::size_t kOrderedMax = 16;
  static constexpr std::size_t kToldMax = 16;

  struct Place {
    wire::Endpoint guest;
    wire::Endpoint target;  // Of the host.
    bool datagrams = false;
    host::TcpListener listener{};  // Of TCP, once it is there,
    host::UdpSocket socket{};      // and of UDP.
    host::AcceptShare share{};
  };

  // References are not owned.
  LoopbackPorts(sys::Kernel& kernel, sys::EventLoop& loop) : kernel_(kernel), loop_(loop) {}

  // Once. Each port of each map, in both families.
  void add(std::span<const policy::PortMap> maps);
  // Asks for what was not asked for, as much as may be under way. False: the agent is too busy.
  [[nodiscard]] bool order(agent::GuestAgent& agent, std::uint64_t first_tag);
  // Some are not there yet, and not refused.
  [[nodiscard]] bool awaits_answers() const { return asked_ < places_.size() || ordered_ > 0; }
  // The answer, by its place. A port that the guest has itself is told, and left out.
  void on_socket(std::size_t place, agent::AgentSocket answer);
  // Null: there is none yet.
  [[nodiscard]] Place* find(const EventTag& tag);
  // There is no descriptor left: no listener is watched until resume().
  void pause(Instant now);
  [[nodiscard]] Instant resume_at() const { return resume_at_; }
  void resume(Instant now);

 private:
  [[nodiscard]] bool watch(std::size_t place);
  void tell(const Place& place, int error);
  void adopt(std::size_t place, UniqueFd socket);

  sys::Kernel& kernel_;
  sys::EventLoop& loop_;
  std::vector<Place> places_;
  std::size_t asked_ = 0;    // The first so many of places_.
  std::size_t ordered_ = 0;  // Of them, not answered yet.
  std::size_t told_ = 0;
  Instant resume_at_ = kNever;
};

}  // namespace sluice::driver
