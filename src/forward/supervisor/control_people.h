// The supervisor as people see it over the control socket: how it stands, and a reload that is
// answered. A part of ControlThread, in its thread.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "forward/sight/forward_control.h"
#include "forward/supervisor/control_thread.h"

namespace sluice::forward {

class ControlThread::ForPeople final : public Forwarder {
 public:
  explicit ForPeople(ControlThread& thread) : thread_(thread) {}

  // Opens what people see of it (sight.h), as whoever has started us. The error is one line.
  [[nodiscard]] std::expected<void, std::string> open();

  [[nodiscard]] Status status() const override;
  [[nodiscard]] std::expected<ReloadDone, std::string> reload_by(std::string_view who) override;

 private:
  ControlThread& thread_;
};

}  // namespace sluice::forward
