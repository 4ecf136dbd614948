// The ports that are published while a guest is served: those of the start, and what people and
// programs have made of them since. Not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "driver/worker_group.h"
#include "flow/core/guest_network.h"
#include "serve/control/port_set.h"

namespace sluice::serve {

class LivePorts final : public PortSet {
 public:
  // Ports that are published at once: to open a socket for each of them takes a while.
  static constexpr std::uint16_t kPortsMax = 256;

  // References are not owned. `published` are served already.
  LivePorts(driver::WorkerGroup& workers, const flow::GuestNetwork& network,
            std::vector<policy::PortMap> published)
      : workers_(workers), network_(network), published_(std::move(published)) {}

  [[nodiscard]] std::expected<policy::PortMap, Refusal> publish(
      const policy::PortMap& map) override;
  [[nodiscard]] bool unpublish(const policy::PortMap& map) override;
  [[nodiscard]] bool has(const policy::PortMap& map) const override;
  [[nodiscard]] bool waits_at(policy::Protocol protocol, const wire::Endpoint& host) const override;
  [[nodiscard]] std::span<const policy::PortMap> all() const { return published_; }

 private:
  driver::WorkerGroup& workers_;
  const flow::GuestNetwork& network_;
  std::vector<policy::PortMap> published_;
};

}  // namespace sluice::serve
