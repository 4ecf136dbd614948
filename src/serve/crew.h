// The workers of a guest, made of a plan and of what was prepared for it: one for each link that
// the guest gives, with what they share. Used by one thread.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <vector>

#include "driver/worker_group.h"
#include "link/pcap_tee.h"
#include "serve/guest.h"
#include "serve/outputs.h"
#include "serve/plan.h"
#include "serve/preparation.h"
#include "sys/event_loop.h"
#include "sys/sys_error.h"

namespace sluice::serve {

class Crew {
 public:
  // Takes what it needs of what was prepared and of the outputs.
  [[nodiscard]] static std::expected<std::unique_ptr<Crew>, sys::SysError> hire(
      const ServePlan& plan, Preparation& prepared, GuestEnds ends, Outputs& outputs);
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  [[nodiscard]] driver::WorkerGroup& workers() { return *workers_; }

 private:
  struct Making;  // What the options of all of them are made of.

  Crew(std::unique_ptr<const policy::EgressPolicy> policy, sys::EventLoop loop)
      : policy_(std::move(policy)), loop_(std::move(loop)) {}
  [[nodiscard]] std::expected<void, sys::SysError> make_group(Making& making);
  [[nodiscard]] std::expected<void, sys::SysError> make_workers(Making& making);
  [[nodiscard]] driver::WorkerOptions options_of(Making& making, std::uint32_t worker);
  [[nodiscard]] std::unique_ptr<link::Link> with_capture(std::unique_ptr<link::Link> link);

  // Borrowed by the engines.
  std::unique_ptr<const policy::EgressPolicy> policy_;
  sys::EventLoop loop_;                   // The first's.
  std::optional<link::Capture> capture_;  // None: nobody wants one.
  std::unique_ptr<driver::Group> group_;  // Null: there is but one worker.
  std::optional<driver::Worker> first_;
  std::optional<driver::WorkerGroup> workers_;
};

}  // namespace sluice::serve
