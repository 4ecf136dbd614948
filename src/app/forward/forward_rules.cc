#include "app/forward/forward_rules.h"

#include <array>
#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "app/options/value_option.h"
#include "config/forward_config.h"

namespace sluice::app {
namespace {

using Checked = std::expected<void, Mistake>;
using forward::Rule;

constexpr std::array kRuleOptions{
    std::pair{OptionId::kBalance, "--balance"},
    std::pair{OptionId::kConnectFrom, "--connect-from"},
    std::pair{OptionId::kProxyIn, "--proxy-in"},
    std::pair{OptionId::kProxyFrom, "--proxy-from"},
    std::pair{OptionId::kProxyOut, "--proxy-out"},
    std::pair{OptionId::kFraming, "--framing"},
    std::pair{OptionId::kTimeoutConnect, "--timeout-connect"},
    std::pair{OptionId::kTimeoutIdle, "--timeout-idle"},
    std::pair{OptionId::kTimeoutHalfClosed, "--timeout-half-closed"},
    std::pair{OptionId::kTimeoutUdp, "--timeout-udp"},
};

bool crosses_protocols(const Rule& rule) { return rule.listens_udp() != rule.targets_udp(); }

// Sets what an option says in the rules that can have it; an option that none can have is a
// mistake, as it would do nothing.
template <typename Fits, typename Set>
Checked set_where(std::vector<Rule>& rules, std::string_view option, std::string_view needs,
                  const Fits& fits, const Set& set) {
  bool any = false;
  for (Rule& rule : rules) {
    if (!fits(rule)) continue;
    set(rule);
    any = true;
  }
  if (any) return {};
  return fail("{}: no rule can have it; expected {}", option, needs);
}

std::expected<Rule, Mistake> read_pair(const std::string& listen, const std::string& targets) {
  std::optional<Rule> rule;
  std::string_view rest = targets;
  while (true) {
    const std::size_t comma = rest.find(',');
    auto next = config::parse_rule_words(listen, rest.substr(0, comma));
    if (!next) return fail("'{} {}': {}", listen, targets, next.error());
    if (!rule) {
      rule = std::move(*next);
    } else {
      rule->targets.push_back(std::move(next->targets.front()));
    }
    if (comma == std::string_view::npos) return std::move(*rule);
    rest.remove_prefix(comma + 1);
  }
}

std::expected<std::vector<Rule>, Mistake> read_pairs(std::span<const std::string> words) {
  if (words.empty()) {
    return fail(
        "nothing to forward; expected -c FILE or LISTEN TARGET, as in 'sluice forward 8080 "
        "10.0.0.2:80'");
  }
  if (words.size() % 2 != 0) {
    return fail("'{}' has no target; expected LISTEN TARGET pairs", words.back());
  }
  std::vector<Rule> rules;
  for (std::size_t i = 0; i < words.size(); i += 2) {
    auto rule = read_pair(words[i], words[i + 1]);
    if (!rule) return std::unexpected(std::move(rule.error()));
    rules.push_back(std::move(*rule));
  }
  return rules;
}

Checked set_balance(const RawOptions& raw, std::vector<Rule>& rules) {
  for (const std::string& text : raw.all(OptionId::kBalance)) {
    const auto balance = parse_named("--balance", text, config::kBalances);
    if (!balance) return std::unexpected(balance.error());
    const auto fits = [](const Rule& rule) { return rule.targets.size() > 1; };
    auto ok = set_where(rules, "--balance", "several targets, separated by commas", fits,
                        [&](Rule& rule) { rule.balance = *balance; });
    if (!ok) return ok;
  }
  return {};
}

Checked set_proxy(const RawOptions& raw, std::vector<Rule>& rules) {
  if (raw.has(OptionId::kProxyIn)) {
    auto ok = set_where(
        rules, "--proxy-in", "a listener of tcp", [](const Rule& r) { return !r.listens_udp(); },
        [](Rule& rule) { rule.proxy_in = forward::ProxyIn::kRequired; });
    if (!ok) return ok;
  }
  for (const std::string& text : raw.all(OptionId::kProxyFrom)) {
    const auto pattern = policy::AddressPattern::parse(text);
    if (!pattern) {
      return fail("--proxy-from: '{}' is not an address pattern; expected {}", text,
                  pattern.error().expected);
    }
    const auto fits = [](const Rule& rule) { return rule.proxy_in != forward::ProxyIn::kOff; };
    auto ok = set_where(rules, "--proxy-from", "--proxy-in as well", fits,
                        [&](Rule& rule) { rule.proxy_from.push_back(*pattern); });
    if (!ok) return ok;
  }
  for (const std::string& text : raw.all(OptionId::kProxyOut)) {
    const auto version = parse_named("--proxy-out", text, config::kProxyVersions);
    if (!version) return std::unexpected(version.error());
    const auto fits = [](const Rule& r) { return !r.listens_udp() && !r.targets_udp(); };
    auto ok = set_where(rules, "--proxy-out", "one from tcp to tcp", fits,
                        [&](Rule& rule) { rule.proxy_out = *version; });
    if (!ok) return ok;
  }
  return {};
}

Checked set_framing(const RawOptions& raw, std::vector<Rule>& rules) {
  for (const std::string& text : raw.all(OptionId::kFraming)) {
    const auto framing = parse_named("--framing", text, config::kFramings);
    if (!framing) return std::unexpected(framing.error());
    auto ok = set_where(rules, "--framing", "one from udp to tcp or from tcp to udp",
                        crosses_protocols, [&](Rule& rule) { rule.framing = *framing; });
    if (!ok) return ok;
  }
  return {};
}

Checked set_source(const RawOptions& raw, std::vector<Rule>& rules) {
  for (const std::string& text : raw.all(OptionId::kConnectFrom)) {
    const auto address = wire::parse_ip(text);
    if (!address) return fail("--connect-from: '{}' is not an IP address", text);
    for (Rule& rule : rules) rule.socket.source = *address;
  }
  return {};
}

Checked set_timeouts(const RawOptions& raw, std::vector<Rule>& rules) {
  using forward::TimeoutPlan;
  struct Timeout {
    OptionId id;
    std::string_view option;
    Duration TimeoutPlan::* member;
    Duration min;
  };
  constexpr std::chrono::milliseconds kSome{1};
  constexpr Duration kNone{};
  const std::array timeouts{
      Timeout{OptionId::kTimeoutConnect, "--timeout-connect", &TimeoutPlan::connect, kSome},
      Timeout{OptionId::kTimeoutIdle, "--timeout-idle", &TimeoutPlan::idle, kNone},
      Timeout{OptionId::kTimeoutHalfClosed, "--timeout-half-closed", &TimeoutPlan::half_closed,
              kNone},
      Timeout{OptionId::kTimeoutUdp, "--timeout-udp", &TimeoutPlan::udp_session, kSome}};
  for (const Timeout& timeout : timeouts) {
    for (const std::string& text : raw.all(timeout.id)) {
      const auto time = parse_time(timeout.option, text, timeout.min);
      if (!time) return std::unexpected(time.error());
      for (Rule& rule : rules) rule.timeouts.*timeout.member = *time;
    }
  }
  return {};
}

}  // namespace

std::expected<std::vector<Rule>, Mistake> command_line_rules(const RawOptions& raw) {
  auto rules = read_pairs(raw.words);
  if (!rules) return rules;
  for (const auto set : {set_balance, set_proxy, set_framing, set_source, set_timeouts}) {
    if (auto ok = set(raw, *rules); !ok) return std::unexpected(std::move(ok.error()));
  }
  return rules;
}

std::expected<void, Mistake> refuse_rule_options(const RawOptions& raw) {
  for (const auto& [id, option] : kRuleOptions) {
    if (!raw.has(id)) continue;
    return fail("{}: holds for rules of the command line; with --config, write it into the file",
                option);
  }
  return {};
}

}  // namespace sluice::app
