// A policy that comes over the control socket in parts, one after the other: a line of the socket
// has no room for a large one. One at a time; whoever begins anew takes the place of one who has
// not come to an end. Not thread-safe.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "control/draft_text.h"
#include "control/request.h"

namespace sluice::serve {

class PolicyUpload {
 public:
  // The part of a kReload. Nothing: others are to follow. The error is a sentence, and the upload
  // is over.
  [[nodiscard]] std::expected<std::optional<policy::EgressDraft>, std::string> add(
      const control::Request& request);

 private:
  std::optional<control::DraftReader> reader_;
  std::uint64_t upload_ = 0;
  std::uint64_t next_ = 0;
};

}  // namespace sluice::serve
