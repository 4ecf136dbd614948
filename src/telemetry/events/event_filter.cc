#include "telemetry/events/event_filter.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "telemetry/events/event.h"

namespace sluice::telemetry {
namespace {

constexpr std::array<std::string_view, 3> kProtocols{"tcp", "udp", "icmp"};
constexpr auto kTypes = [] {
  std::array<std::string_view, kEventTypeCount> names{};
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = to_string(static_cast<EventType>(i));
  return names;
}();

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string normal(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  std::string text(name);
  std::ranges::transform(text, text.begin(), lower);
  return text;
}

template <typename List, typename Value>
bool holds(const List& list, const Value& value) {
  return std::ranges::find(list, value) != list.end();
}

std::string joined(std::span<const std::string_view> words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    text += i == 0 ? "" : i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

// "api-*.example.com": the star stands for a part of the leftmost label, not for dots.
bool glob_matches(std::string_view pattern, std::size_t star, std::string_view name) {
  const std::string_view before = pattern.substr(0, star);
  const std::string_view after = pattern.substr(star + 1);
  if (name.size() < before.size() + after.size()) return false;
  if (!name.starts_with(before) || !name.ends_with(after)) return false;
  const auto middle = name.substr(before.size(), name.size() - before.size() - after.size());
  return middle.find('.') == std::string_view::npos;
}

}  // namespace

bool name_matches(std::string_view pattern_text, std::string_view name_text) {
  const std::string pattern = normal(pattern_text);
  const std::string name = normal(name_text);
  if (name.empty()) return false;
  if (pattern == "*") return true;
  if (pattern.starts_with("*.")) {
    return name.size() > pattern.size() - 1 && name.ends_with(std::string_view(pattern).substr(1));
  }
  if (pattern.starts_with('.')) {
    return name.ends_with(pattern) || name == std::string_view(pattern).substr(1);
  }
  const std::size_t star = pattern.find('*');
  if (star == std::string::npos) return name == pattern;
  return glob_matches(pattern, star, name);
}

std::expected<void, std::string> EventFilter::add(std::string_view kind, std::string_view value) {
  if (kind == "proto") return add_proto(value);
  if (kind == "port") return add_ports(value);
  if (kind == "peer") return add_peer(value);
  if (value.empty()) return std::unexpected(fmt::format("{} is empty", kind));
  if (kind == "type") {
    if (!holds(kTypes, value)) {
      return std::unexpected(
          fmt::format("'{}' is not a type of event; expected {}", value, joined(kTypes)));
    }
    types_.emplace_back(value);
  } else if (kind == "name") {
    const std::size_t star = value.find('*');
    if (star != std::string_view::npos &&
        (value.find('*', star + 1) != std::string_view::npos || value.find('.') < star)) {
      return std::unexpected(fmt::format(
          "'{}' is not a pattern of names; expected one star, in the leftmost label", value));
    }
    names_.push_back(normal(value));
  } else if (kind == "reason") {
    reasons_.emplace_back(value);
  } else if (kind == "flow") {
    flows_.push_back(normal(value));
  } else {
    return std::unexpected(fmt::format(
        "'{}' is not known; expected denied, type, name, proto, port, peer, reason or flow", kind));
  }
  return {};
}

std::expected<void, std::string> EventFilter::add_proto(std::string_view value) {
  if (!holds(kProtocols, value)) {
    return std::unexpected(
        fmt::format("'{}' is not a protocol; expected {}", value, joined(kProtocols)));
  }
  protos_.emplace_back(value);
  return {};
}

std::expected<void, std::string> EventFilter::add_ports(std::string_view value) {
  const auto ports = policy::parse_ports(value);
  if (!ports || ports->empty()) {
    return std::unexpected(
        fmt::format("'{}' is not a list of ports; expected 80, 80-90 or 22,80-90", value));
  }
  ports_.insert(ports_.end(), ports->begin(), ports->end());
  return {};
}

std::expected<void, std::string> EventFilter::add_peer(std::string_view value) {
  const auto prefix = wire::parse_prefix(value);
  if (!prefix) {
    return std::unexpected(
        fmt::format("'{}' is not an address; expected one as 192.0.2.7 or 2001:db8::/32", value));
  }
  peers_.push_back(*prefix);
  return {};
}

std::expected<EventFilter, std::string> EventFilter::parse(std::string_view text) {
  EventFilter filter;
  while (true) {
    const std::size_t begin = text.find_first_not_of(' ');
    if (begin == std::string_view::npos) return filter;
    text.remove_prefix(begin);
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    if (word == "denied") {
      filter.want_denied();
      continue;
    }
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) {
      return std::unexpected(fmt::format("'{}' has no value; expected {}=…", word, word));
    }
    auto added = filter.add(word.substr(0, equals), word.substr(equals + 1));
    if (!added) return std::unexpected(std::move(added.error()));
  }
}

bool EventFilter::wants_port(std::uint16_t port) const {
  if (ports_.empty()) return true;
  return std::ranges::any_of(ports_, [port](const policy::PortRange& range) {
    return range.first <= port && port <= range.last;
  });
}

bool EventFilter::wants_name(const std::string& name) const {
  if (names_.empty()) return true;
  return std::ranges::any_of(
      names_, [&](const std::string& pattern) { return name_matches(pattern, name); });
}

bool EventFilter::wants_peer(const std::string& text) const {
  if (peers_.empty()) return true;
  const auto address = wire::parse_ip(text);
  return address && std::ranges::any_of(peers_, [&](const wire::Prefix& prefix) {
           return prefix.contains(*address);
         });
}

bool EventFilter::wants(const SeenEvent& event) const {
  if (event.type == "lost") return true;
  if (denied_ && !event.was_refused()) return false;
  if (!types_.empty() && !holds(types_, event.type)) return false;
  if (!protos_.empty() && !holds(protos_, event.proto)) return false;
  if (!reasons_.empty() && !holds(reasons_, event.reason)) return false;
  if (!flows_.empty() && !holds(flows_, event.flow)) return false;
  const bool of_flow = !ports_.empty() || !peers_.empty();
  if (of_flow && event.flow.empty()) return false;
  return wants_port(event.port) && wants_name(event.name) && wants_peer(event.address);
}

}  // namespace sluice::telemetry
