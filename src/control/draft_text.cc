#include "control/draft_text.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace sluice::control {
namespace {

using Json = nlohmann::ordered_json;
using policy::DraftRule;
using policy::Effect;
using policy::EgressDraft;
using policy::EgressRule;

template <typename Enum>
struct Word {
  Enum value;
  std::string_view text;
};
constexpr std::array kEffects{Word{Effect::kAllow, "allow"}, Word{Effect::kAsk, "ask"},
                              Word{Effect::kDeny, "deny"}};
constexpr std::array kSni{Word{policy::SniUse::kRequire, "require"},
                          Word{policy::SniUse::kIfPresent, "if-present"},
                          Word{policy::SniUse::kOff, "off"}};
constexpr std::array kHost{Word{policy::HostUse::kEveryRequest, "every-request"},
                           Word{policy::HostUse::kFirst, "first"},
                           Word{policy::HostUse::kOff, "off"}};
constexpr std::array kHello{Word{policy::EncryptedHello::kOuter, "outer"},
                            Word{policy::EncryptedHello::kRefuse, "refuse"}};
constexpr std::array kAnswers{Word{policy::DnsAnswers::kPinned, "pinned"},
                              Word{policy::DnsAnswers::kSynthetic, "synthetic"}};
constexpr std::array kDenied{Word{policy::DeniedAnswer::kExplain, "explain"},
                             Word{policy::DeniedAnswer::kNxDomain, "nxdomain"},
                             Word{policy::DeniedAnswer::kNoData, "nodata"}};

template <typename Words, typename Enum>
[[nodiscard]] std::string text_of(const Words& words, Enum value) {
  for (const auto& word : words) {
    if (word.value == value) return std::string(word.text);
  }
  return {};
}

[[nodiscard]] std::string dump(const Json& object) {
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

[[nodiscard]] std::int64_t seconds_of(Duration duration) {
  return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
}

[[nodiscard]] Json limit_object(const policy::TrafficLimit& limit) {
  const auto& [to_host, from_host, flows] = limit;
  return {{"to-host", to_host.bytes},
          {"to-host-rate", to_host.rate},
          {"from-host", from_host.bytes},
          {"from-host-rate", from_host.rate},
          {"flows", flows}};
}

[[nodiscard]] std::string settings_line(const EgressDraft& draft) {
  const auto& [fallback, rules, dns, tls, http, limit, gateways] = draft;
  const auto& [answers, denied, pages, intercept, types, min_ttl, grace, budget] = dns;
  const auto& [names, bytes, per] = budget;
  const auto& [sni, encrypted_hello] = tls;
  const auto& [host] = http;
  Json numbers = Json::array();
  for (const wire::DnsType type : types) numbers.push_back(static_cast<unsigned>(type));
  return dump(Json{{"default", text_of(kEffects, fallback)},
                   {"rules", rules.size()},
                   {"dns-answers", text_of(kAnswers, answers)},
                   {"dns-denied", text_of(kDenied, denied)},
                   {"dns-pages", pages},
                   {"dns-intercept", intercept},
                   {"dns-types", std::move(numbers)},
                   {"dns-min-ttl-s", seconds_of(min_ttl)},
                   {"dns-grace-s", seconds_of(grace)},
                   {"dns-budget-names", names},
                   {"dns-budget-bytes", bytes},
                   {"dns-budget-per-s", seconds_of(per)},
                   {"tls-sni", text_of(kSni, sni)},
                   {"tls-ech", text_of(kHello, encrypted_hello)},
                   {"http-host", text_of(kHost, host)},
                   {"limit", limit_object(limit)}});
}

[[nodiscard]] std::string rule_line(const DraftRule& rule) {
  const auto& [id, text, effect, note, source, private_addresses, sni, host, decision, limit, via,
               of_names] = rule.rule;
  Json object{{"effect", text_of(kEffects, effect)},
              {"target", to_string(rule.target)},
              {"id", id},
              {"source", source}};
  if (!note.empty()) object["note"] = note;
  if (!private_addresses.empty()) {
    Json list = Json::array();
    for (const wire::Prefix& prefix : private_addresses) list.push_back(wire::to_string(prefix));
    object["private"] = std::move(list);
  }
  if (sni) object["sni"] = text_of(kSni, *sni);
  if (host) object["host"] = text_of(kHost, *host);
  if (decision) object["decision"] = true;
  if (limit) object["limit"] = limit_object(*limit);
  if (via) {
    object["via"] = policy::to_string(*via);
    Json list = Json::array();
    for (const wire::Endpoint& endpoint : via->endpoints) list.push_back(to_string(endpoint));
    object["via-endpoints"] = std::move(list);
  }
  return dump(object);
}

// The members of a line, each of which must be of its kind where it is there.
class Members {
 public:
  explicit Members(const Json& object) : object_(object) {}

  template <typename Words, typename Enum>
  void word(const char* key, const Words& words, Enum& into) {
    const Json* const value = take(key);
    if (value == nullptr) return;
    for (const auto& word : words) {
      if (value->is_string() && value->get_ref<const std::string&>() == word.text) {
        into = word.value;
        return;
      }
    }
    wrong(key);
  }
  template <typename Words, typename Enum>
  void word(const char* key, const Words& words, std::optional<Enum>& into) {
    if (!object_.contains(key)) return;
    word(key, words, into.emplace());
  }
  void text(const char* key, std::string& into) {
    const Json* const value = take(key);
    if (value == nullptr) return;
    if (value->is_string()) {
      into = value->get<std::string>();
    } else {
      wrong(key);
    }
  }
  void flag(const char* key, bool& into) {
    const Json* const value = take(key);
    if (value == nullptr) return;
    if (value->is_boolean()) {
      into = value->get<bool>();
    } else {
      wrong(key);
    }
  }
  template <typename Number>
  void number(const char* key, std::uint64_t max, Number& into) {
    const Json* const value = take(key);
    if (value == nullptr) return;
    if (value->is_number_unsigned() && value->get<std::uint64_t>() <= max) {
      into = static_cast<Number>(value->get<std::uint64_t>());
    } else {
      wrong(key);
    }
  }
  void seconds(const char* key, Duration& into) {
    constexpr std::uint64_t kYear = 366ULL * 24 * 3600;
    std::uint64_t count = static_cast<std::uint64_t>(seconds_of(into));
    number(key, kYear, count);
    into = std::chrono::seconds(count);
  }
  [[nodiscard]] const Json* any(const char* key) { return take(key); }
  [[nodiscard]] const Json* list(const char* key) {
    const Json* const value = take(key);
    if (value == nullptr || value->is_array()) return value;
    wrong(key);
    return nullptr;
  }
  void wrong(const char* key) {
    if (problem_.empty()) problem_ = fmt::format("'{}' is not what it should be", key);
  }
  // Whether all was as it should be, and there is nothing that we do not know.
  [[nodiscard]] std::expected<void, std::string> finish() {
    if (problem_.empty() && taken_ != object_.size()) problem_ = "it has an unknown member";
    if (!problem_.empty()) return std::unexpected(std::move(problem_));
    return {};
  }

 private:
  const Json* take(const char* key) {
    const auto found = object_.find(key);
    if (found == object_.end()) return nullptr;
    ++taken_;
    return &*found;
  }

  const Json& object_;
  std::size_t taken_ = 0;
  std::string problem_;
};

// False: it is no limit.
[[nodiscard]] bool read_limit(const Json& object, policy::TrafficLimit& limit) {
  if (!object.is_object()) return false;
  constexpr std::uint64_t kMost = ~std::uint64_t{0};
  Members members(object);
  members.number("to-host", kMost, limit.to_host.bytes);
  members.number("to-host-rate", kMost, limit.to_host.rate);
  members.number("from-host", kMost, limit.from_host.bytes);
  members.number("from-host-rate", kMost, limit.from_host.rate);
  members.number("flows", 0xffff'ffff, limit.flows);
  return members.finish().has_value();
}

[[nodiscard]] std::expected<void, std::string> read_settings(const Json& object,
                                                             EgressDraft& draft) {
  constexpr std::uint64_t kTypesMax = 0xffff;
  Members members(object);
  std::uint64_t rules = 0;
  members.number("rules", kDraftRulesMax, rules);
  members.word("default", kEffects, draft.fallback);
  members.word("dns-answers", kAnswers, draft.dns.answers);
  members.word("dns-denied", kDenied, draft.dns.denied);
  members.flag("dns-pages", draft.dns.pages);
  members.flag("dns-intercept", draft.dns.intercept);
  if (const Json* const types = members.list("dns-types")) {
    draft.dns.types.clear();
    for (const Json& type : *types) {
      if (!type.is_number_unsigned() || type.get<std::uint64_t>() > kTypesMax) {
        members.wrong("dns-types");
        break;
      }
      draft.dns.types.push_back(static_cast<wire::DnsType>(type.get<std::uint16_t>()));
    }
  }
  members.seconds("dns-min-ttl-s", draft.dns.min_ttl);
  members.seconds("dns-grace-s", draft.dns.grace);
  members.number("dns-budget-names", 0xffff'ffff, draft.dns.budget.names);
  members.number("dns-budget-bytes", 0xffff'ffff, draft.dns.budget.bytes);
  members.seconds("dns-budget-per-s", draft.dns.budget.per);
  members.word("tls-sni", kSni, draft.tls.sni);
  members.word("tls-ech", kHello, draft.tls.encrypted_hello);
  members.word("http-host", kHost, draft.http.host);
  if (const Json* const limit = members.any("limit")) {
    if (!read_limit(*limit, draft.limit)) members.wrong("limit");
  }
  draft.rules.reserve(rules);
  return members.finish();
}

// Where it is goes along: the receiver looks nothing up.
void read_via(Members& members, std::optional<policy::Via>& via) {
  std::string text;
  members.text("via", text);
  const Json* const endpoints = members.list("via-endpoints");
  if (text.empty()) {
    if (endpoints != nullptr) members.wrong("via-endpoints");
    return;
  }
  auto parsed = policy::parse_via(text);
  if (!parsed) return members.wrong("via");
  via = std::move(*parsed);
  if (endpoints == nullptr) return;
  via->endpoints.clear();
  for (const Json& one : *endpoints) {
    const auto endpoint =
        wire::parse_endpoint(one.is_string() ? one.get<std::string>() : std::string());
    if (!endpoint) return members.wrong("via-endpoints");
    via->endpoints.push_back(*endpoint);
  }
}

[[nodiscard]] std::expected<void, std::string> read_rule(const Json& object, EgressDraft& draft) {
  Members members(object);
  EgressRule rule;
  std::string target;
  members.word("effect", kEffects, rule.effect);
  members.text("target", target);
  members.text("id", rule.id);
  members.text("source", rule.source);
  members.text("note", rule.note);
  members.word("sni", kSni, rule.sni);
  members.word("host", kHost, rule.host);
  members.flag("decision", rule.decision);
  if (const Json* const limit = members.any("limit")) {
    if (!read_limit(*limit, rule.limit.emplace())) members.wrong("limit");
  }
  read_via(members, rule.via);
  if (const Json* const list = members.list("private")) {
    for (const Json& one : *list) {
      const auto prefix =
          wire::parse_prefix(one.is_string() ? one.get<std::string>() : std::string());
      if (prefix) {
        rule.private_addresses.push_back(*prefix);
      } else {
        members.wrong("private");
      }
    }
  }
  if (auto whole = members.finish(); !whole) return whole;
  auto parsed = policy::parse_egress_target(target);
  if (!object.contains("effect") || !parsed) {
    return std::unexpected(!parsed ? fmt::format("expected {}", parsed.error().expected)
                                   : std::string("'effect' is missing"));
  }
  draft.rules.push_back({std::move(*parsed), std::move(rule)});
  return {};
}

}  // namespace

std::vector<std::string> draft_lines(const EgressDraft& draft) {
  std::vector<std::string> lines{settings_line(draft)};
  for (const DraftRule& rule : draft.rules) lines.push_back(rule_line(rule));
  return lines;
}

std::expected<void, std::string> DraftReader::read(std::string_view line) {
  ++lines_;
  const Json object = Json::parse(line, nullptr, false);
  if (!object.is_object()) return std::unexpected(fmt::format("line {}: no object", lines_));
  if (draft_.rules.size() >= kDraftRulesMax) {
    return std::unexpected(fmt::format("more than {} rules", kDraftRulesMax));
  }
  const auto done = lines_ == 1 ? read_settings(object, draft_) : read_rule(object, draft_);
  if (!done) return std::unexpected(fmt::format("line {}: {}", lines_, done.error()));
  return {};
}

std::expected<EgressDraft, std::string> DraftReader::finish() {
  if (lines_ == 0) return std::unexpected("it is empty");
  return std::move(draft_);
}

}  // namespace sluice::control
