// What the control socket of a run does with the guest that is served: tells how things stand and
// which flows live, ends flows, and changes the policy and which ports are published. In the thread
// of the first worker, between its turns.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "control/control_server.h"
#include "driver/worker_group.h"
#include "serve/ask/ask_desk.h"
#include "serve/control/live_ports.h"
#include "serve/control/policy_in_force.h"
#include "serve/control/policy_rows.h"
#include "serve/control/policy_upload.h"
#include "serve/plan.h"
#include "telemetry/events/event_stream.h"

namespace sluice::serve {

class RunControl final : public control::Controlled {
 public:
  // A page of flows, at most.
  static constexpr std::size_t kFlowsEach = 256;

  // Limits that status tells of.
  static constexpr std::size_t kLimitsMax = 64;

  struct Setting {
    std::string program;  // "sluice run"
    const ServePlan& plan;
    const flow::GuestNetwork& network;  // As the guest has it; not owned.
    std::vector<policy::PortMap> published{};
  };

  // References are not owned.
  RunControl(driver::WorkerGroup& workers, telemetry::EventStream& events, const Setting& setting);

  // Who asks people; not owned. Once, before the first request.
  void ask_by(AskDesk& desk);

  void on_request(const control::Request& request, control::Answer& answer) override;
  void on_listeners(bool any) override;
  void on_answerer(bool came) override;

  // Of the policy: how many there have been, and how many rules it has.
  [[nodiscard]] std::uint64_t generation() const { return policy_.generation(); }
  [[nodiscard]] std::size_t rules() const { return policy_.draft().rules.size(); }
  // Those that are published, for who else changes them.
  [[nodiscard]] PortSet& ports() { return ports_; }
  // Who asks people; null: nobody.
  [[nodiscard]] const AskDesk* desk() const { return desk_; }

 private:
  void tell_status(control::Answer& answer);
  void tell_flows(const control::Request& request, control::Answer& answer);
  void kill(const control::Request& request, control::Answer& answer);
  void tell_published(control::Answer& answer);
  void publish(const control::Request& request, control::Answer& answer);
  void unpublish(const control::Request& request, control::Answer& answer);
  void add_rule(const control::Request& request, control::Answer& answer);
  void on_question(const control::Request& request, control::Answer& answer);
  void reload(const control::Request& request, control::Answer& answer);

  PolicyRows policy_rows_;
  driver::WorkerGroup& workers_;
  telemetry::EventStream& events_;
  std::string program_;
  Instant begun_;
  LivePorts ports_;
  PolicySources sources_;
  bool opens_loopback_;  // The guest's way to the host's loopback is there, as it was at the start.
  PolicyUpload upload_;
  PolicyInForce policy_;
  std::vector<flow::FlowSummary> flows_;
  AskDesk* desk_ = nullptr;
};

}  // namespace sluice::serve
