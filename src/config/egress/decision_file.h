// What people answered for always: ~/.config/sluice/decisions.toml. It is read where a guest
// begins, and written by those who ask a run's people (`sluice ctl`, `sluice web`), never by the
// process that serves the guest. The file is its owner's alone, and is replaced as a whole.
//
//   version = 1
//   [[decision]]
//   rule = "allow example.com:443/tcp"
//   scope = "always"
//   when = "2026-03-01T12:00:00Z"
//   by = "ctl"
//   run = "npm install"
//   note = ""
#pragma once

#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "config/forward_config.h"
#include "policy/egress/egress_policy.h"

namespace sluice::config {

struct Decision {
  std::string rule{};  // The effect, a space, and the target in its shortest form.
  std::string when{};  // RFC 3339.
  std::string by{};
  std::string run{};  // What the guest ran.
  std::string note{};
};

class DecisionFile {
 public:
  static constexpr std::size_t kDecisionsMax = 10'000;

  explicit DecisionFile(std::string path) : path_(std::move(path)) {}
  // The user's own; nothing where no home is known.
  [[nodiscard]] static std::expected<DecisionFile, std::string> of_this_user();

  [[nodiscard]] const std::string& path() const { return path_; }
  // The folder that it is in, made where it was missing; nothing where it cannot be.
  [[nodiscard]] std::optional<std::string> make_folder() const;
  // In the order in which they were made; none where there is no file. An error is lines for a
  // person, and nothing of the file counts then.
  [[nodiscard]] std::expected<std::vector<Decision>, std::string> load() const;
  // Adds one, in the place of an older one for the same target.
  [[nodiscard]] std::expected<void, std::string> remember(Decision decision) const;
  // Removes those that have this place (of 1) or rule, with its effect or without; all for "all".
  // How many they were.
  [[nodiscard]] std::expected<std::size_t, std::string> forget(const std::string& which) const;

 private:
  [[nodiscard]] std::expected<void, std::string> store(
      const std::vector<Decision>& decisions) const;
  template <typename Change>
  [[nodiscard]] std::expected<std::size_t, std::string> change(const Change& how) const;

  std::string path_;
};

// "allow example.com:443/tcp" as a rule that counts where a policy asks.
[[nodiscard]] std::expected<policy::DraftRule, policy::RuleError> rule_of(const Decision& decision);

// The time of a decision that is made now.
[[nodiscard]] std::string decided_at(std::chrono::system_clock::time_point time);

}  // namespace sluice::config
