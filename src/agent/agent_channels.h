// The agent's ends of its talks: one channel for each of our workers. Orders are answered on the
// channel that they came by. Not thread-safe.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "agent/agent_wire.h"
#include "base/time.h"
#include "base/unique_fd.h"

namespace sluice::agent {

class AgentChannels {
 public:
  struct Order {
    std::size_t worker = 0;
    AgentOrder order;
  };

  // Of GuestAgent::pair(), by worker.
  explicit AgentChannels(std::vector<UniqueFd> channels);

  [[nodiscard]] std::size_t size() const { return channels_.size(); }
  // To answer a worker by. Negative once that is gone: what is sent there fails.
  [[nodiscard]] int fd(std::size_t worker) const { return channels_[worker].get(); }

  // Waits for orders or the end of a channel, but not for longer than `at_most`. Drops the channels
  // that are closed, without a look at what waits on the others. False once there is none left.
  [[nodiscard]] bool await_news(Duration at_most);
  // Waits for orders, but not for longer than `at_most`, and takes what is queued with them; those
  // of one worker stay in their order. None where nothing came, or a worker went away. Nothing once
  // all of them have.
  [[nodiscard]] std::optional<std::vector<Order>> receive(Duration at_most);

 private:
  [[nodiscard]] std::vector<std::size_t> wait(Duration at_most) const;
  [[nodiscard]] std::size_t open() const;

  std::vector<UniqueFd> channels_;  // An invalid one's worker is gone.
};

}  // namespace sluice::agent
