// What the control socket of a run does with the guest that is served: tells how things stand and
// which flows live, ends flows, and changes the policy and which ports are published. In the thread
// of the first worker, between its turns.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "control/control_server.h"
#include "driver/worker_group.h"
#include "policy/egress/egress_policy.h"
#include "serve/plan.h"
#include "telemetry/events/event_stream.h"

namespace sluice::serve {

class RunControl final : public control::Controlled {
 public:
  // A page of flows, at most.
  static constexpr std::size_t kFlowsEach = 256;

  // Ports that one request may publish: to open a socket for each of them takes a while.
  static constexpr std::uint16_t kPortsMax = 256;

  struct Setting {
    std::string program;  // "sluice run"
    const ServePlan& plan;
    const flow::GuestNetwork& network;  // As the guest has it; not owned.
  };

  // References are not owned.
  RunControl(driver::WorkerGroup& workers, telemetry::EventStream& events, const Setting& setting);

  void on_request(const control::Request& request, control::Answer& answer) override;
  void on_listeners(bool any) override;

 private:
  void tell_status(control::Answer& answer);
  void tell_flows(const control::Request& request, control::Answer& answer);
  void kill(const control::Request& request, control::Answer& answer);
  void tell_published(control::Answer& answer);
  void publish(const control::Request& request, control::Answer& answer);
  void unpublish(const control::Request& request, control::Answer& answer);
  void add_rule(const control::Request& request, control::Answer& answer);

  driver::WorkerGroup& workers_;
  telemetry::EventStream& events_;
  std::string program_;
  const flow::GuestNetwork& network_;
  Instant begun_;
  std::vector<policy::PortMap> published_;
  policy::EgressDraft draft_;                           // Of the policy in force.
  std::unique_ptr<const policy::EgressPolicy> policy_;  // Null: it is the plan's yet.
  std::uint64_t generation_ = 1;                        // Of the policy: how many there have been.
  std::vector<flow::FlowSummary> flows_;
};

}  // namespace sluice::serve
