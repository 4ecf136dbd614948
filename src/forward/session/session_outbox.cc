#include "forward/session/session_outbox.h"

#include <algorithm>

namespace sluice::forward {

void SessionOutbox::add(SessionRecord record) {
  news_ = true;
  const auto* const refusal = std::ranges::find(kRefusedBeforehand, record.result);
  const std::lock_guard guard(lock_);
  const std::size_t waiting = content_.records.size();
  if (refusal != kRefusedBeforehand.end() && waiting >= kRecordsMax / 2) {
    ++content_.left_out[static_cast<std::size_t>(refusal - kRefusedBeforehand.begin())];
  } else if (waiting >= kRecordsMax) {
    ++content_.lost;
  } else {
    content_.records.push_back(std::move(record));
  }
}

SessionOutbox::Content SessionOutbox::take() {
  const std::lock_guard guard(lock_);
  return std::exchange(content_, {});
}

}  // namespace sluice::forward
