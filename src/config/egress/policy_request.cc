#include "config/egress/policy_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "config/egress/limit_text.h"
#include "config/egress/policy_file.h"
#include "config/egress/target_text.h"
#include "config/messages.h"

namespace sluice::config {
namespace {

using policy::Effect;

std::string lines_of(const ConfigErrors& errors) {
  std::string text;
  for (const ConfigMessage& error : errors) {
    text += fmt::format("{}{}", text.empty() ? "" : "\n", error.describe());
  }
  return text;
}

std::expected<void, std::string> add_options(const std::vector<std::string>& texts, Effect effect,
                                             PolicyParts& parts) {
  std::size_t number = 0;
  const std::string option = fmt::format("--{}", to_string(effect));
  for (const std::string& text : texts) {
    if (effect == Effect::kAsk && text == kAskDefault) continue;
    ++number;
    auto target = read_target(text, effect);
    if (!target) {
      return std::unexpected(fmt::format("{}: {} is not a rule; expected {}", option, quoted(text),
                                         target.error().expected));
    }
    if (!target->warning.empty()) {
      ConfigMessage& warning = parts.warnings.emplace_back();
      warning.text = fmt::format("{} {}: {}", option, text, target->warning);
    }
    parts.draft.rules.push_back(
        {std::move(target->target),
         {.id = fmt::format("{} #{}", option, number), .effect = effect, .source = option}});
  }
  return {};
}

std::expected<void, std::string> add_profiles(const std::string& list, PolicyReader& reader) {
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t comma = std::min(list.find(',', begin), list.size());
    const std::string name = list.substr(begin, comma - begin);
    if (auto added = reader.add_profile(name); !added) {
      return std::unexpected("--profile: " + lines_of(added.error()));
    }
    begin = comma + 1;
  }
  return {};
}

std::optional<Effect> effect_named(std::string_view word) {
  for (const Effect effect : {Effect::kAllow, Effect::kAsk, Effect::kDeny}) {
    if (to_string(effect) == word) return effect;
  }
  return std::nullopt;
}

std::expected<void, std::string> set_fallback(const PolicyRequest& request, PolicyParts& parts) {
  const bool asks = std::ranges::find(request.ask, kAskDefault) != request.ask.end();
  if (asks) parts.fallback = Effect::kAsk;
  if (const auto& word = request.fallback) {
    const auto effect = effect_named(*word);
    if (!effect) {
      return std::unexpected(
          fmt::format("--default: {} is no default; expected deny, ask or allow", quoted(*word)));
    }
    if (asks && *effect != Effect::kAsk) {
      return std::unexpected(fmt::format(
          "--ask is --default ask, and --default {} is another; --ask=TARGET asks about a target",
          *word));
    }
    parts.fallback = *effect;
  }
  const bool listed = !request.files.empty() || !request.profiles.empty() ||
                      ((!request.allow.empty() || !request.ask.empty()) && request.deny.empty());
  parts.draft.fallback = parts.fallback.value_or(listed ? Effect::kDeny : Effect::kAllow);
  return {};
}

std::expected<void, std::string> set_limits(const PolicyRequest& request, PolicyParts& parts) {
  for (const std::string& text : request.limits) {
    if (auto set = add_limit_text(text, parts.draft.limit); !set) {
      return std::unexpected(
          fmt::format("--limit: {} is no limit; expected {}", quoted(text), set.error()));
    }
  }
  // Rules of the same id share a limit.
  std::unordered_map<std::string_view, const policy::TrafficLimit*> limits;
  for (const policy::DraftRule& rule : parts.draft.rules) {
    if (!rule.rule.limit) continue;
    const auto [known, fresh] = limits.try_emplace(rule.rule.id, &*rule.rule.limit);
    if (fresh || *known->second == *rule.rule.limit) continue;
    return std::unexpected(fmt::format(
        "--policy: two rules called {} have different limits; expected an id for each, or the "
        "same limit",
        quoted(rule.rule.id)));
  }
  return {};
}

}  // namespace

std::expected<PolicyParts, std::string> read_policy(const PolicyRequest& request,
                                                    const ProfileLibrary& library) {
  PolicyParts parts;
  PolicyReader reader(library, parts);
  for (const std::string& list : request.profiles) {
    if (auto ok = add_profiles(list, reader); !ok) return std::unexpected(std::move(ok.error()));
  }
  for (const std::string& file : request.files) {
    if (auto added = reader.add_file(file); !added) {
      return std::unexpected(lines_of(added.error()));
    }
  }
  for (const auto& [texts, effect] :
       {std::pair(&request.deny, Effect::kDeny), std::pair(&request.ask, Effect::kAsk),
        std::pair(&request.allow, Effect::kAllow)}) {
    if (auto ok = add_options(*texts, effect, parts); !ok) {
      return std::unexpected(std::move(ok.error()));
    }
  }
  if (parts.draft.rules.size() > policy::EgressPolicy::kRulesMax) {
    return std::unexpected(fmt::format("--policy: {} rules are too many; expected at most {}",
                                       parts.draft.rules.size(), policy::EgressPolicy::kRulesMax));
  }
  if (auto ok = set_limits(request, parts); !ok) return std::unexpected(std::move(ok.error()));
  if (auto ok = set_fallback(request, parts); !ok) return std::unexpected(std::move(ok.error()));
  return parts;
}

std::string describe_policy(const PolicyParts& parts) {
  // What was remembered is told apart.
  const auto count = std::ranges::count_if(
      parts.draft.rules, [](const policy::DraftRule& rule) { return !rule.rule.decision; });
  std::string text = fmt::format("default {}, {} rule{}", to_string(parts.draft.fallback), count,
                                 count == 1 ? "" : "s");
  if (parts.draft.limit.any()) {
    text += fmt::format(", limit {}", describe_limit(parts.draft.limit));
  }
  if (!parts.sources.empty()) text += fmt::format(" ({})", fmt::join(parts.sources, ", "));
  return text;
}

}  // namespace sluice::config
