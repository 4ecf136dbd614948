#include "config/egress/policy_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

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

std::expected<void, std::string> set_fallback(const PolicyRequest& request, PolicyParts& parts) {
  if (const auto& word = request.fallback) {
    if (*word != "deny" && *word != "allow") {
      return std::unexpected(
          fmt::format("--default: {} is no default; expected deny or allow", quoted(*word)));
    }
    parts.fallback = *word == "deny" ? Effect::kDeny : Effect::kAllow;
  }
  const bool listed = !request.files.empty() || !request.profiles.empty() ||
                      (!request.allow.empty() && request.deny.empty());
  parts.draft.fallback = parts.fallback.value_or(listed ? Effect::kDeny : Effect::kAllow);
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
       {std::pair(&request.deny, Effect::kDeny), std::pair(&request.allow, Effect::kAllow)}) {
    if (auto ok = add_options(*texts, effect, parts); !ok) {
      return std::unexpected(std::move(ok.error()));
    }
  }
  if (parts.draft.rules.size() > policy::EgressPolicy::kRulesMax) {
    return std::unexpected(fmt::format("--policy: {} rules are too many; expected at most {}",
                                       parts.draft.rules.size(), policy::EgressPolicy::kRulesMax));
  }
  if (auto ok = set_fallback(request, parts); !ok) return std::unexpected(std::move(ok.error()));
  return parts;
}

std::string describe_policy(const PolicyParts& parts) {
  const std::size_t count = parts.draft.rules.size();
  std::string text = fmt::format("default {}, {} rule{}", to_string(parts.draft.fallback), count,
                                 count == 1 ? "" : "s");
  if (!parts.sources.empty()) text += fmt::format(" ({})", fmt::join(parts.sources, ", "));
  return text;
}

}  // namespace sluice::config
