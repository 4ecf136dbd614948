#include "config/egress/policy_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <limits>
#include <system_error>
#include <utility>

#include "base/suggestion.h"
#include "config/egress/ask_table.h"
#include "config/egress/limit_text.h"
#include "config/egress/rule_table.h"
#include "config/messages.h"
#include "config/toml_reader.h"
#include "config/toml_value.h"

namespace sluice::config {
namespace {

using policy::EgressDraft;
using Unknown = TomlReader::Unknown;

constexpr std::size_t kFileSizeMax = 64 * 1024 * 1024;
constexpr std::uint64_t kCountMax = std::numeric_limits<std::uint32_t>::max();

constexpr Named<policy::Effect> kFallbacks[] = {{"deny", policy::Effect::kDeny},
                                                {"ask", policy::Effect::kAsk},
                                                {"allow", policy::Effect::kAllow}};
constexpr Named<policy::DnsAnswers> kAnswers[] = {{"pinned", policy::DnsAnswers::kPinned},
                                                  {"synthetic", policy::DnsAnswers::kSynthetic}};
constexpr Named<policy::DeniedAnswer> kDeniedAnswers[] = {
    {"explain", policy::DeniedAnswer::kExplain},
    {"nxdomain", policy::DeniedAnswer::kNxDomain},
    {"nodata", policy::DeniedAnswer::kNoData}};
constexpr Named<policy::EncryptedHello> kHellos[] = {{"outer", policy::EncryptedHello::kOuter},
                                                     {"refuse", policy::EncryptedHello::kRefuse}};
constexpr Named<wire::DnsType> kTypes[] = {
    {"A", wire::DnsType::kA},         {"AAAA", wire::DnsType::kAaaa},
    {"HTTPS", wire::DnsType::kHttps}, {"SVCB", wire::DnsType::kSvcb},
    {"SRV", wire::DnsType::kSrv},     {"PTR", wire::DnsType::kPtr},
    {"MX", wire::DnsType::kMx},       {"TXT", wire::DnsType::kTxt},
    {"NS", wire::DnsType::kNs},       {"SOA", wire::DnsType::kSoa},
    {"CNAME", wire::DnsType::kCname}};

void read_types(TomlReader& reader, std::vector<wire::DnsType>& into, Messages& messages) {
  const auto texts = reader.texts("types", "types of record as [\"A\", \"AAAA\", \"HTTPS\"]");
  if (reader.find("types") == nullptr) return;
  into.clear();
  for (const TomlReader::Text& text : texts) {
    const auto* const found = std::ranges::find(kTypes, text.text, &Named<wire::DnsType>::name);
    if (found != std::end(kTypes)) {
      into.push_back(found->value);
      continue;
    }
    std::string known;
    for (const auto& type : kTypes)
      known += fmt::format("{}{}", known.empty() ? "" : ", ", type.name);
    messages.error(text.line,
                   fmt::format("{} is no type of record that can be allowed; expected {}",
                               quoted(text.text), known));
  }
}

void read_budget(TomlReader& dns, policy::DnsBudget& into, Messages& messages) {
  const TomlTable* const table = dns.table("budget");
  if (table == nullptr) return;
  TomlReader reader(*table, "dns.budget", messages);
  assign(into.names, reader.integer("names", 1, kCountMax));
  assign(into.bytes, reader.size("bytes", 1, kCountMax));
  assign(into.per, reader.duration("per", std::chrono::seconds{1}));
  reader.finish(Unknown::kError);
}

void read_dns(TomlReader& document, policy::DnsPolicy& into, Messages& messages) {
  const TomlTable* const table = document.table("dns");
  if (table == nullptr) return;
  TomlReader reader(*table, "dns", messages);
  assign(into.answers, reader.choice("answers", kAnswers));
  assign(into.denied, reader.choice("denied", kDeniedAnswers));
  assign(into.pages, reader.boolean("pages"));
  assign(into.intercept, reader.boolean("intercept"));
  read_types(reader, into.types, messages);
  assign(into.min_ttl, reader.duration("min-ttl"));
  assign(into.grace, reader.duration("grace"));
  read_budget(reader, into.budget, messages);
  reader.finish(Unknown::kError);
}

void read_first_bytes(TomlReader& document, EgressDraft& into, Messages& messages) {
  if (const TomlTable* const table = document.table("tls")) {
    TomlReader reader(*table, "tls", messages);
    assign(into.tls.sni, reader.choice("sni", kSniUses));
    assign(into.tls.encrypted_hello, reader.choice("ech", kHellos));
    reader.finish(Unknown::kError);
  }
  if (const TomlTable* const table = document.table("http")) {
    TomlReader reader(*table, "http", messages);
    assign(into.http.host, reader.choice("host", kHostUses));
    reader.finish(Unknown::kError);
  }
}

void read_limits(TomlReader& document, PolicyParts& into, Messages& messages) {
  const TomlTable* const table = document.table("limits");
  if (table == nullptr) return;
  TomlReader reader(*table, "limits", messages);
  if (const auto flows = reader.integer("flows", 0, kCountMax)) {
    into.max_flows = static_cast<std::uint32_t>(*flows);
  }
  if (const auto flows = reader.integer("new-flows-per-second", 0, kCountMax)) {
    into.new_flows_per_second = static_cast<std::uint32_t>(*flows);
  }
  read_limit_keys(reader, into.draft.limit);
  reader.finish(Unknown::kError);
}

std::expected<std::string, std::string> read_whole(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::error_code error;
  if (!file.is_open() || std::filesystem::is_directory(path, error)) {
    const int reason = errno != 0 ? errno : EISDIR;
    return std::unexpected(fmt::format("cannot be read: {}; expected a file of policy",
                                       std::generic_category().message(reason)));
  }
  std::string text;
  for (char c = 0; text.size() <= kFileSizeMax && file.get(c);) text += c;
  if (text.size() > kFileSizeMax) return std::unexpected("is larger than 64 MiB");
  return text;
}

std::unexpected<ConfigErrors> whole_file(const std::string& file, std::string text) {
  return std::unexpected(ConfigErrors{{{file, 0}, std::move(text)}});
}

}  // namespace

bool PolicyReader::is_new(const std::string& source) {
  if (std::ranges::find(parts_->sources, source) != parts_->sources.end()) return false;
  parts_->sources.push_back(source);
  return true;
}

std::expected<ProfileNote, ConfigErrors> PolicyReader::add_file(const std::string& path) {
  const auto text = read_whole(path);
  if (!text) return whole_file(path, text.error());
  const std::string name = std::filesystem::path(path).filename().string();
  if (!is_new(name)) parts_->sources.push_back(path);
  return add_text(*text, path, name);
}

std::expected<ProfileNote, ConfigErrors> PolicyReader::add_profile(const std::string& name) {
  const auto path = library_->find(name);
  if (!path) {
    const std::vector<std::string> names = library_->names();
    const std::vector<std::string_view> known(names.begin(), names.end());
    const std::string_view near = nearest(name, known);
    return whole_file(
        "", fmt::format("there is no profile {}; {}", config::quoted(name),
                        near.empty() ? std::string("'sluice profile list' has those that there are")
                                     : fmt::format("did you mean '{}'?", near)));
  }
  if (!is_new(name)) return ProfileNote{};
  const auto text = read_whole(*path);
  if (!text) return whole_file(*path, text.error());
  return add_text(*text, *path, "profile " + name);
}

std::expected<ProfileNote, ConfigErrors> PolicyReader::add_text(std::string_view text,
                                                                const std::string& file,
                                                                const std::string& label) {
  Messages messages(file);
  const auto document = parse_toml(text);
  if (!document) {
    messages.error(document.error().line, "not TOML: " + document.error().text);
    return std::unexpected(messages.take_all());
  }
  TomlReader reader(*document, "", messages);
  (void)reader.integer("version", 1, 1);  // There is no other form yet; another is an error.
  ProfileNote note;
  assign(note.about, reader.text("about"));
  assign(note.risk, reader.text("risk"));
  // First, so that what the file says itself counts.
  for (const TomlReader::Text& use : reader.texts("use", "profiles as [\"python\"]")) {
    auto added = add_profile(std::string(use.text));
    if (added) continue;
    for (ConfigMessage& error : added.error()) {
      if (error.where.file.empty()) {
        messages.error(use.line, std::move(error.text));
      } else {
        messages.error(use.line, "a profile has mistakes: " + error.describe());
      }
    }
  }
  if (const auto fallback = reader.choice("default", kFallbacks)) parts_->fallback = *fallback;
  read_dns(reader, parts_->draft.dns, messages);
  read_first_bytes(reader, parts_->draft, messages);
  read_limits(reader, *parts_, messages);
  read_ask_table(reader, parts_->ask, messages);
  for (const TomlValue* value : reader.tables("rule")) {
    read_rule_table(*value, label, parts_->draft.rules, messages);
  }
  reader.finish(Unknown::kError);
  if (messages.any_error()) return std::unexpected(messages.take_all());
  for (ConfigMessage& warning : messages.take_warnings()) {
    parts_->warnings.push_back(std::move(warning));
  }
  return note;
}

}  // namespace sluice::config
