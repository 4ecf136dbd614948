// A person before `sluice top`: looks at a run each second, and does what keys ask for.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "app/ctl/run_client.h"
#include "app/top/guest_processes.h"
#include "app/top/terminal.h"
#include "app/top/top_model.h"
#include "app/top/top_view.h"

namespace sluice::app {

class TopSession {
 public:
  explicit TopSession(control::Connection run);

  // A look. The error is a sentence: the run has ended, or refuses.
  [[nodiscard]] std::expected<void, std::string> look();
  // As text, for a program or a file.
  [[nodiscard]] std::string text() const;
  // Until the person, or the run, has had enough. The error is a sentence.
  [[nodiscard]] std::expected<void, std::string> show(Terminal& terminal);

 private:
  // What letters are typed for.
  enum class Mode : std::uint8_t { kKeys, kFilter, kConfirm };

  // False: the person leaves.
  [[nodiscard]] bool on_key(const Terminal::Key& key);
  void on_letter(char letter);
  void on_filter_key(const Terminal::Key& key);
  void move(int by);
  void ask_to_kill();
  void kill();
  [[nodiscard]] std::vector<TopGroup> groups() const;

  control::Connection run_;
  TopModel model_;
  TopHead head_;
  TopState state_;
  GuestProcesses processes_;
  Mode mode_ = Mode::kKeys;
  std::vector<std::string> doomed_;  // Flows that are ended once that is confirmed.
};

}  // namespace sluice::app
