// Listeners of TCP and sockets of UDP at the guest's loopback, which lead to the host's: made by
// the agent, one port of one family after the other. Some are there for ever, others follow the
// host's programs. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <utility>

#include "agent/agent.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "driver/io/event_tag.h"
#include "host/accept.h"
#include "host/listener.h"
#include "host/udp_socket.h"
#include "policy/port_map.h"
#include "policy/protocol.h"
#include "sys/event_loop.h"
#include "sys/kernel.h"

namespace sluice::driver {

class LoopbackPorts {
 public:
  static constexpr std::size_t kOrderedMax = 16;
  static constexpr std::size_t kToldMax = 16;
  // When one that follows, and that a program of the guest's had, is asked for again.
  static constexpr Duration kAskAgain = std::chrono::seconds(1);

  enum class Standing : std::uint8_t { kToAsk, kAsked, kThere, kRefused };

  struct Place {
    wire::Endpoint guest;
    wire::Endpoint target;  // Of the host.
    bool datagrams = false;
    bool follows = false;  // A program of the host's, and goes when that goes.
    bool wanted = true;    // It has not gone while the agent was asked.
    Standing standing = Standing::kToAsk;
    host::TcpListener listener{};  // Of TCP, once it is there,
    host::UdpSocket socket{};      // and of UDP.
    host::AcceptShare share{};
  };

  // References are not owned.
  LoopbackPorts(sys::Kernel& kernel, sys::EventLoop& loop) : kernel_(kernel), loop_(loop) {}

  // For ever: each port of each map, in both families, or that of its address.
  void add(std::span<const policy::PortMap> maps);
  // Those that follow are these from now on, but for those that are there for ever.
  void follow(std::span<const policy::PortMap> maps);
  // Whether it is for us to wait at this port of the guest's loopback, though a program of the
  // guest's may have it.
  [[nodiscard]] bool has(policy::Protocol protocol, wire::Port port) const;
  // Asks for what was not asked for, as much as may be under way. False: the agent is too busy.
  [[nodiscard]] bool order(agent::GuestAgent& agent, std::uint64_t first_tag);
  // Some are not there yet, and not refused.
  [[nodiscard]] bool awaits_answers() const { return !to_ask_.empty() || ordered_ > 0; }
  // The answer, by its place. A port that the guest has itself is left out: one that is there for
  // ever is told, one that follows is asked for again.
  void on_socket(std::uint32_t place, agent::AgentSockets answer, Instant now);
  [[nodiscard]] Instant ask_again_at() const { return ask_again_at_; }
  // To be followed by order().
  void ask_again();
  // Null: there is none yet.
  [[nodiscard]] Place* find(const EventTag& tag);
  // Its listener is none any more: the guest's root may end any socket of its namespace.
  void lose(const EventTag& tag, int error, Instant now);
  // There is no descriptor left: no listener is watched until resume().
  void pause(Instant now);
  [[nodiscard]] Instant resume_at() const { return resume_at_; }
  void resume(Instant now);

 private:
  // UDP, and where in the guest.
  using Key = std::pair<bool, wire::Endpoint>;

  Place& place_of(const Place& wanted);
  void drop(std::uint32_t id);
  [[nodiscard]] bool watch(std::uint32_t id, const Place& place);
  void refuse(Place& place, int error, Instant now);
  void tell(const Place& place, int error);
  void adopt(Place& place, UniqueFd socket);

  sys::Kernel& kernel_;
  sys::EventLoop& loop_;
  std::map<std::uint32_t, Place> places_;  // None has the number of one that has gone.
  std::map<Key, std::uint32_t> numbers_;
  std::uint32_t next_ = 0;
  std::deque<std::uint32_t> to_ask_;
  std::size_t ordered_ = 0;  // Not answered yet.
  std::size_t told_ = 0;
  Instant resume_at_ = kNever;
  Instant ask_again_at_ = kNever;
};

}  // namespace sluice::driver
