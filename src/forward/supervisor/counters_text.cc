#include "forward/supervisor/counters_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "telemetry/text.h"

namespace sluice::forward {
namespace {

constexpr std::size_t kColumns = 9;
constexpr std::size_t kLeftAligned = 2;  // The first ones: names. Numbers follow.
using Row = std::array<std::string, kColumns>;

[[nodiscard]] std::string printable(std::string_view text) {
  fmt::memory_buffer out;
  telemetry::append_name(out, text);
  return fmt::to_string(out);
}

[[nodiscard]] Row row_of(const RuleSnapshot& rule) {
  return {printable(rule.name),
          printable(rule.listener),
          fmt::format("{}", rule.active),
          fmt::format("{}", rule.accepted),
          fmt::format("{}", rule.refused),
          fmt::format("{}", rule.failed),
          fmt::format("{}", rule.dropped),
          telemetry::human_bytes(rule.bytes_to_target),
          telemetry::human_bytes(rule.bytes_to_client)};
}

void append_row(fmt::memory_buffer& out, const Row& row,
                const std::array<std::size_t, kColumns>& widths) {
  for (std::size_t i = 0; i < kColumns; ++i) {
    if (i > 0) fmt::format_to(std::back_inserter(out), "  ");
    if (i < kLeftAligned) {
      fmt::format_to(std::back_inserter(out), "{:<{}}", row[i], widths[i]);
    } else {
      fmt::format_to(std::back_inserter(out), "{:>{}}", row[i], widths[i]);
    }
  }
  out.push_back('\n');
}

void append_target(fmt::memory_buffer& out, const TargetSnapshot& target) {
  fmt::format_to(std::back_inserter(out), "  -> {}  {}, {} active", printable(target.place),
                 target.up ? "up" : "down", target.active);
  if (target.is_name && target.addresses.empty()) {
    fmt::format_to(std::back_inserter(out), ", no address");
  } else if (target.is_name) {
    fmt::format_to(std::back_inserter(out), ", at {}", fmt::join(target.addresses, " "));
  }
  out.push_back('\n');
}

}  // namespace

RuleSnapshot snapshot_of(const LiveRule& rule) {
  const RuleCounters& counters = *rule.counters;
  const auto read = [](const auto& counter) { return counter.load(std::memory_order_relaxed); };
  RuleSnapshot snapshot{.name = rule.plan.name,
                        .listener = to_string(rule.plan.listen),
                        .active = read(counters.active),
                        .accepted = read(counters.accepted),
                        .refused = read(counters.not_allowed) + read(counters.limited) +
                                   read(counters.bad_proxy_header),
                        .failed = read(counters.connect_failed),
                        .dropped = read(counters.datagrams_dropped),
                        .bytes_to_target = read(counters.bytes_to_target),
                        .bytes_to_client = read(counters.bytes_to_client),
                        .targets = {}};
  for (std::uint32_t i = 0; i < rule.targets.size(); ++i) {
    TargetSnapshot target{.place = to_string(rule.plan.targets[i].place),
                          .addresses = {},
                          .is_name = rule.targets.is_name(i),
                          .up = rule.targets.up(i),
                          .active = rule.targets.active(i)};
    if (target.is_name) {
      for (const wire::IpAddress& address : rule.targets.addresses(i)) {
        target.addresses.push_back(wire::to_string(address));
      }
    }
    snapshot.targets.push_back(std::move(target));
  }
  return snapshot;
}

std::string counters_table(std::span<const RuleSnapshot> rules) {
  const Row header{"rule",   "listener", "active",    "accepted", "refused",
                   "failed", "dropped",  "to target", "to client"};
  std::array<std::size_t, kColumns> widths{};
  const auto widen = [&widths](const Row& row) {
    for (std::size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], row[i].size());
  };
  widen(header);
  for (const RuleSnapshot& rule : rules) widen(row_of(rule));

  fmt::memory_buffer out;
  append_row(out, header, widths);
  for (const RuleSnapshot& rule : rules) {
    append_row(out, row_of(rule), widths);
    for (const TargetSnapshot& target : rule.targets) append_target(out, target);
  }
  return fmt::to_string(out);
}

}  // namespace sluice::forward
