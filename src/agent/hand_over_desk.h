// Carries out orders to hand connections over (agent.h): makes the socket that takes a connection
// over, has the guest's kernel turn its packets there, waits for that kernel's answer, and goes
// back where none comes. All that is asked at once is one change of the guest's tables. Not
// thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <optional>
#include <span>
#include <vector>

#include "agent/agent_channels.h"
#include "agent/agent_wire.h"
#include "agent/divert.h"
#include "agent/hand_over_socket.h"
#include "base/time.h"
#include "sys/sys_error.h"

namespace sluice::agent {

class HandOverDesk {
 public:
  // Answers by `channels`, which outlives it.
  HandOverDesk(const AgentChannels& channels, Divert divert);

  // How long it may be left without a turn while no order comes.
  [[nodiscard]] Duration patience() const;
  // Carries out what came, which may be nothing, and answers all that can be answered.
  void turn(std::span<const AgentChannels::Order> orders);
  // Of ours nothing is left in the namespace then.
  void tidy_up() { divert_.remove(); }

 private:
  // A connection on its way.
  struct Job {
    std::size_t worker = 0;  // Who asked, and is answered.
    HandOverOrder order;
    std::optional<HandOverSocket> socket = std::nullopt;
    int error = 0;
    Instant silent_until = {};  // Of a live one: when it counts as unanswered.
    [[nodiscard]] bool failed() const { return error != 0; }
    [[nodiscard]] DivertedConnection name() const {
      return {order.snapshot.peer, order.snapshot.local};
    }
  };
  // What came of a job.
  enum class Outcome : std::uint8_t { kWaiting, kPassedOn, kFailed };

  // The socket of a connection that was taken back.
  struct Retired {
    DivertedConnection name;
    HandOverSocket socket;
    Instant until;
  };

  void carry_out(std::span<const AgentChannels::Order> orders);
  void repair(std::span<const std::size_t> askers, std::vector<DivertedConnection>& released);
  void make_socket(Job& job);
  void divert(std::span<Job> jobs, std::span<const DivertedConnection> released);
  static void go_live(Job& job);
  // Answers all that can be answered.
  void settle();
  [[nodiscard]] Outcome look_at(Job& job);
  [[nodiscard]] Outcome pass_on(Job& job);
  void take_back(std::span<Job> jobs);
  // False when the connection has to stay, and was passed on after all.
  [[nodiscard]] bool retire(Job& job);
  void forget_retired();
  // The other end is gone; receive() finds out.
  static void ignore(const std::expected<void, sys::SysError>&) {}

  const AgentChannels& channels_;
  Divert divert_;
  std::vector<Job> under_way_;
  std::deque<Retired> retired_;  // The first to go in front.
  Instant rest_at_;              // Without work until then the guest is spared our rules.
};

}  // namespace sluice::agent
