// ICMP and ICMPv6 echo: each (guest address, identifier, target) is a flow with a ping socket of
// the host. The host's kernel chooses the identifier on the wire; the guest's is put back into the
// reply. To an address that stands for a name, requests wait until it is known where that leads; it
// may be in the other family, and then ICMP is made of ICMPv6 or the other way round.
// Sans-IO; time is an argument.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/slab.h"
#include "base/timer_wheel.h"
#include "flow/core/action.h"
#include "flow/core/flow_table.h"
#include "flow/core/flow_walk.h"
#include "flow/core/found_target.h"
#include "flow/ip/flow_context.h"
#include "flow/udp/held_datagrams.h"
#include "wire/ip/ip.h"

namespace sluice::flow {

class PingFlows {
 public:
  static constexpr Duration kTimeout = std::chrono::seconds(60);

  explicit PingFlows(const FlowContext& context);

  // `message` is an echo request, header first; its checksum was checked.
  void on_request(const wire::IpPacketView& packet, ByteView message, Turn turn);
  // An echo reply from the host. The identifier and the checksum are rewritten in place.
  void on_reply(PingId socket, const wire::IpAddress& from, MutableBytes message, Turn turn);
  void on_open_failed(PingId socket, bool forbidden, Turn turn);

  // Answers a FindTarget.
  void on_found(SlabHandle handle, const FoundTarget& found, Turn turn);
  // What was made for the other family is on its way.
  void end_burst() {
    if (!parting_.empty()) [[unlikely]]
      parting_.clear();
  }
  // Answers an AskPolicy about an echo request, which has not waited: a refusal is told.
  void on_verdict(const FlowKey& key, const NamedBy& by, policy::Verdict verdict, Turn turn);

  // What an error from the host's side is about.
  struct Origin {
    wire::IpAddress guest;
    wire::IpAddress remote;
    std::uint16_t identifier = 0;
  };
  [[nodiscard]] std::optional<Origin> origin_of(PingId socket) const;

  void on_timer(std::uint32_t index, Turn turn);
  void shut_down(Turn turn);
  // The policy is another: ends each flow that it lets through no longer.
  void judge_again(Turn turn);
  // Ends the flow at a place of walk().
  void cut_off(std::uint32_t index, policy::Verdict why, Turn turn);
  [[nodiscard]] std::size_t size() const { return flows_.size(); }
  // See flow_walk.h.
  template <typename Visit>
  [[nodiscard]] std::uint32_t walk(std::uint32_t from, const Visit& visit) const {
    return walk_flows(flows_, from, visit);
  }

 private:
  struct Flow {
    explicit Flow(const FlowKey& flow_key) : key(flow_key) {}
    FlowKey key;                          // The identifier stands where the guest's port would.
    wire::IpAddress target;               // On the host's side.
    std::unique_ptr<HeldDatagrams> held;  // Until that is known.
    bool told = false;                    // Somebody was told that it begins.
    bool answered = false;
    policy::Verdict verdict = policy::Verdict::kAccepted;
    NamedBy by{};
    Metered metered{};
    TimerNode timer;
    Instant opened{};
    Instant active{};
    std::uint64_t bytes_to_host = 0;
    std::uint64_t bytes_to_guest = 0;

    [[nodiscard]] std::optional<wire::Endpoint> leads_to() const {
      if (by.source != NameSource::kSynthetic || held != nullptr) [[likely]]
        return std::nullopt;
      return wire::Endpoint{target, {}};
    }
  };

  [[nodiscard]] std::uint32_t open(const FlowKey& key, const wire::IpPacketView& packet, Turn turn);
  void send(std::uint32_t index, ByteView message, std::uint8_t hop_limit, ActionSink& out);
  void remove(std::uint32_t index, policy::Outcome outcome, Turn turn);
  // Whether a message of so many bytes goes on. Where a quota ends the flow, it is gone.
  [[nodiscard]] bool meter(std::uint32_t index, policy::Lane& lane, std::size_t bytes, Turn turn);

  GuestLink& link_;
  FlowAdmission& admission_;
  TimerWheel& timers_;
  std::uint32_t timer_kind_;
  Slab<Flow> flows_;
  FlowTable table_;
  std::vector<std::vector<std::uint8_t>> parting_;  // Actions borrow them.
};

}  // namespace sluice::flow
