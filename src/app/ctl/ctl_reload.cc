#include "app/ctl/ctl_reload.h"

#include <unistd.h>

#include <chrono>
#include <utility>

#include "app/guest/policy_options.h"
#include "control/draft_text.h"

namespace sluice::app {
namespace {

using Json = nlohmann::json;

// Of the policy in a request, so that it fits into a line whatever of it has to be escaped.
constexpr std::size_t kPartSize = control::kLineMax / 4;

[[nodiscard]] std::vector<std::string> texts_in(const Json& object, const char* key) {
  std::vector<std::string> texts;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array()) return texts;
  for (const Json& one : *found) {
    if (one.is_string()) texts.push_back(one.get<std::string>());
  }
  return texts;
}

[[nodiscard]] bool flag_in(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

[[nodiscard]] serve::PolicySources sources_in(const Json& policy) {
  serve::PolicySources sources{.allow = texts_in(policy, "allow"),
                               .deny = texts_in(policy, "deny"),
                               .ask = texts_in(policy, "ask"),
                               .limits = texts_in(policy, "limits"),
                               .files = texts_in(policy, "files"),
                               .profiles = texts_in(policy, "profiles"),
                               .fallback = {},
                               .host_loopback = flag_in(policy, "host_loopback"),
                               .host_addresses = flag_in(policy, "host_addresses")};
  const auto fallback = policy.find("default");
  if (fallback != policy.end() && fallback->is_string()) {
    sources.fallback = fallback->get<std::string>();
  }
  return sources;
}

// No two of them at a time are alike.
[[nodiscard]] std::uint64_t upload_number() {
  constexpr unsigned kPidBits = 32;
  const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
  return (static_cast<std::uint64_t>(::getpid()) << kPidBits) ^ static_cast<std::uint64_t>(now);
}

}  // namespace

std::vector<std::string> reload_requests(const policy::EgressDraft& draft, std::uint64_t upload) {
  std::vector<std::string> parts(1);
  for (const std::string& line : control::draft_lines(draft)) {
    if (!parts.back().empty() && parts.back().size() + line.size() > kPartSize) {
      parts.emplace_back();
    }
    parts.back() += line;
    parts.back() += '\n';
  }
  std::vector<std::string> requests;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    requests.push_back(request_line(control::Verb::kReload, [&](telemetry::JsonLine& line) {
      line.number("upload", upload);
      line.number("part", i);
      line.number("parts", parts.size());
      line.text("draft", parts[i]);
    }));
  }
  return requests;
}

std::expected<Reloaded, std::string> reload(control::Connection& run) {
  const auto status = ask(run, request_line(control::Verb::kStatus));
  if (!status) return std::unexpected(status.error());
  if (!status->ok()) return std::unexpected(message_of(*status));
  // A forwarder reads its own file.
  if (const auto kind = status->answer.find("kind");
      kind != status->answer.end() && *kind == "forward") {
    auto answer = ask(run, request_line(control::Verb::kReload));
    if (!answer) return std::unexpected(answer.error());
    return Reloaded{.answer = std::move(*answer), .line = {}, .warnings = {}};
  }
  // It would choose which of our files are read, and get what is in them.
  if (!run.is_own()) {
    return std::unexpected("this run is another user's, who alone reads its policy again");
  }
  const auto policy = status->answer.find("policy");
  if (policy == status->answer.end() || !policy->is_object()) {
    return std::unexpected("this run does not say what its policy was made of");
  }
  auto again = read_policy_again(sources_in(*policy));
  if (!again) return std::unexpected(again.error() + "\nthe run goes on with the policy it has");
  if (opens_loopback(again->draft) && !flag_in(*policy, "opens_loopback")) {
    return std::unexpected(
        "a rule lets through @loopback or @gateway, and this run was started without a way there; "
        "the run goes on with the policy it has");
  }
  Reloaded reloaded{.answer = {}, .line = again->line, .warnings = again->warnings};
  for (const std::string& request : reload_requests(again->draft, upload_number())) {
    auto answer = ask(run, request);
    if (!answer) return std::unexpected(answer.error());
    reloaded.answer = std::move(*answer);
    if (!reloaded.answer.ok()) break;
  }
  return reloaded;
}

}  // namespace sluice::app
