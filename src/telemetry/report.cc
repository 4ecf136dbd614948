#include "telemetry/report.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <tuple>

namespace sluice::telemetry {

Color color_for(int fd) {
  const char* const no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && no_color[0] != '\0') return Color::kOff;
  const char* const term = std::getenv("TERM");
  if (term != nullptr && std::string_view(term) == "dumb") return Color::kOff;
  return ::isatty(fd) != 0 ? Color::kOn : Color::kOff;
}

struct Report::KeyView {
  std::string_view name;
  wire::Endpoint endpoint;
  policy::Protocol protocol;
  FlowDirection direction;
  policy::Verdict verdict;
  policy::Outcome failure;
};

namespace {

// Works for the key and for its view.
template <typename K>
auto fields(const K& key) {
  return std::tuple(std::string_view(key.name), key.endpoint, key.protocol, key.direction,
                    key.verdict, key.failure);
}

}  // namespace

bool Report::KeyOrder::operator()(const Key& a, const Key& b) const {
  return fields(a) < fields(b);
}
bool Report::KeyOrder::operator()(const Key& a, const KeyView& b) const {
  return fields(a) < fields(b);
}
bool Report::KeyOrder::operator()(const KeyView& a, const Key& b) const {
  return fields(a) < fields(b);
}

Report::KeyView Report::key_of(const FlowRecord& record) {
  KeyView key{record.name,      record.peer,    record.protocol,
              record.direction, record.verdict, record.outcome};
  if (record.direction == FlowDirection::kInbound) key.endpoint.port = record.guest.port;
  if (record.protocol == policy::Protocol::kIcmp) key.endpoint.port = wire::Port{0};
  if (policy::was_established(record.outcome)) key.failure = policy::Outcome::kClosed;
  return key;
}

std::string_view Report::result_of(const Key& key) {
  if (key.verdict != policy::Verdict::kAccepted) return policy::to_string(key.verdict);
  if (key.failure == policy::Outcome::kClosed) return policy::to_string(key.verdict);
  return policy::to_string(key.failure);
}

void Report::Sums::add(const FlowRecord& record) {
  ++flows;
  bytes_to_host += record.bytes_to_host;
  bytes_to_guest += record.bytes_to_guest;
  duration += record.duration;
  duration_max = std::max(duration_max, record.duration);
}

void Report::add(const FlowRecord& record) {
  total_.add(record);
  const KeyView view = key_of(record);
  const auto found = rows_.find(view);
  if (found != rows_.end()) {
    found->second.add(record);
  } else if (rows_.size() >= max_rows_) {
    others_.add(record);
  } else {
    Key key{std::string(view.name), view.endpoint, view.protocol,
            view.direction,         view.verdict,  view.failure};
    rows_.emplace(std::move(key), Sums{}).first->second.add(record);
  }
}

std::vector<const Report::Rows::value_type*> Report::sorted() const {
  std::vector<const Rows::value_type*> list;
  list.reserve(rows_.size());
  for (const auto& row : rows_) list.push_back(&row);
  const auto weight = [](const Sums& sums) {
    return std::pair(sums.bytes_to_host + sums.bytes_to_guest, sums.flows);
  };
  std::sort(list.begin(), list.end(), [&](const auto* a, const auto* b) {
    const auto left = weight(a->second);
    const auto right = weight(b->second);
    return left != right ? left > right : fields(a->first) < fields(b->first);
  });
  return list;
}

}  // namespace sluice::telemetry
