#include "config/egress/limit_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <limits>

#include "config/units.h"
#include "policy/limits/token_bucket.h"

namespace sluice::config {
namespace {

using policy::TrafficLimit;

constexpr std::uint64_t kBytesMax = std::numeric_limits<std::int64_t>::max();
constexpr std::string_view kShape =
    "KEY=VALUE as to-host=2GiB, from-host=10GiB, rate=5MiB/s, to-host-rate=1MiB/s or "
    "from-host-rate=5MiB/s, several separated by commas";

struct Key {
  std::string_view name;
  std::uint64_t max;
  void (*set)(TrafficLimit&, std::uint64_t);
};

// `rate` first: those for one way count more.
constexpr std::array<Key, 5> kKeys{
    {{"rate", policy::TokenBucket::kRateMax,
      [](TrafficLimit& limit, std::uint64_t rate) {
        limit.to_host.rate = rate;
        limit.from_host.rate = rate;
      }},
     {"to-host-rate", policy::TokenBucket::kRateMax,
      [](TrafficLimit& limit, std::uint64_t rate) { limit.to_host.rate = rate; }},
     {"from-host-rate", policy::TokenBucket::kRateMax,
      [](TrafficLimit& limit, std::uint64_t rate) { limit.from_host.rate = rate; }},
     {"to-host", kBytesMax,
      [](TrafficLimit& limit, std::uint64_t bytes) { limit.to_host.bytes = bytes; }},
     {"from-host", kBytesMax,
      [](TrafficLimit& limit, std::uint64_t bytes) { limit.from_host.bytes = bytes; }}}};

}  // namespace

void read_limit_keys(TomlReader& reader, TrafficLimit& into) {
  for (const Key& key : kKeys) {
    if (const auto value = reader.size(key.name, 1, key.max)) key.set(into, *value);
  }
}

std::expected<void, std::string> add_limit_text(std::string_view text, TrafficLimit& into) {
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    const std::string_view part = text.substr(begin, comma - begin);
    const std::size_t equals = std::min(part.find('='), part.size());
    const auto* const key = std::ranges::find(kKeys, part.substr(0, equals), &Key::name);
    const auto value =
        equals < part.size() ? parse_size(part.substr(equals + 1)) : std::optional<std::uint64_t>{};
    if (key == kKeys.end() || !value || *value == 0 || *value > key->max) {
      return std::unexpected(std::string(kShape));
    }
    key->set(into, *value);
    begin = comma + 1;
  }
  return {};
}

std::string describe_limit(const TrafficLimit& limit) {
  std::string text;
  const auto append = [&](std::string_view key, std::uint64_t value, std::string_view behind) {
    if (value == 0) return;
    text += fmt::format("{}{}={}{}", text.empty() ? "" : ", ", key, format_size(value), behind);
  };
  append("to-host", limit.to_host.bytes, "");
  append("from-host", limit.from_host.bytes, "");
  if (limit.to_host.rate == limit.from_host.rate) {
    append("rate", limit.to_host.rate, "/s");
  } else {
    append("to-host-rate", limit.to_host.rate, "/s");
    append("from-host-rate", limit.from_host.rate, "/s");
  }
  if (limit.flows != 0) {
    text += fmt::format("{}flows={}", text.empty() ? "" : ", ", limit.flows);
  }
  return text;
}

}  // namespace sluice::config
