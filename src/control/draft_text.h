// A policy as it goes over the control socket: lines of JSON, the first of its settings and each of
// the others of a rule, every name an A-label. Who sends it has read the files, and whoever gets it
// needs none, nor a library: a confined process has neither. What a rule is made of is listed in
// draft_text.cc in such a way that a new member does not compile until it has a place there: one
// that was forgotten would let through what it was to stop.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "policy/egress/egress_policy.h"

namespace sluice::control {

// More rules are refused: they wait in memory while they come.
inline constexpr std::size_t kDraftRulesMax = 200'000;

// Without newlines. `gateways` is the receiver's own, and not in it.
[[nodiscard]] std::vector<std::string> draft_lines(const policy::EgressDraft& draft);

// Takes the lines one after the other.
class DraftReader {
 public:
  // The error is a sentence's end: "line 3: ...".
  [[nodiscard]] std::expected<void, std::string> read(std::string_view line);
  // All lines have come.
  [[nodiscard]] std::expected<policy::EgressDraft, std::string> finish();

 private:
  std::size_t lines_ = 0;
  policy::EgressDraft draft_{};
};

}  // namespace sluice::control
