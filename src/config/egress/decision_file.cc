#include "config/egress/decision_file.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "base/unique_fd.h"
#include "config/messages.h"
#include "config/toml_reader.h"
#include "config/toml_value.h"

namespace sluice::config {
namespace {

namespace fs = std::filesystem;
using policy::Effect;

constexpr std::size_t kTextMax = 1024;
constexpr off_t kFileSizeMax = 16 * 1024 * 1024;

[[nodiscard]] std::unexpected<std::string> failed(const std::string& path, std::string_view what) {
  return std::unexpected(
      fmt::format("{}: {}: {}", path, what, std::generic_category().message(errno)));
}

// A basic string of TOML: JSON's escapes are among its own, and all but ASCII is escaped, too.
[[nodiscard]] std::string toml_text(const std::string& text) {
  constexpr int kNoIndent = -1;
  const nlohmann::json value(text.substr(0, kTextMax));
  std::string written = value.dump(kNoIndent, ' ', true, nlohmann::json::error_handler_t::replace);
  // The one control character that JSON leaves as it is and TOML does not allow.
  for (std::size_t at = 0; (at = written.find('\x7f', at)) != std::string::npos; at += 6) {
    written.replace(at, 1, "\\u007F");
  }
  return written;
}

[[nodiscard]] std::string text_of(const std::vector<Decision>& decisions) {
  std::string text =
      "# What was answered 'always' when sluice asked; 'sluice decisions' lists and forgets them.\n"
      "version = 1\n";
  for (const Decision& decision : decisions) {
    text += fmt::format(
        "\n[[decision]]\nrule = {}\nscope = \"always\"\nwhen = {}\nby = {}\nrun = {}\nnote = {}\n",
        toml_text(decision.rule), toml_text(decision.when), toml_text(decision.by),
        toml_text(decision.run), toml_text(decision.note));
  }
  return text;
}

void read_text(TomlReader& reader, std::string_view key, std::string& into) {
  if (const auto text = reader.text(key)) into = text->substr(0, kTextMax);
}

void read_decision(const TomlValue& value, std::vector<Decision>& into, Messages& messages) {
  TomlReader reader(std::get<TomlTable>(value.data), "decision", messages);
  Decision decision;
  read_text(reader, "rule", decision.rule);
  read_text(reader, "when", decision.when);
  read_text(reader, "by", decision.by);
  read_text(reader, "run", decision.run);
  read_text(reader, "note", decision.note);
  if (const auto scope = reader.text("scope"); scope && *scope != "always") {
    reader.wrong("scope", "is not 'always', which is all that is remembered");
  }
  if (const auto rule = rule_of(decision); !rule) {
    messages.error(value.line, fmt::format("'decision.rule' is {}; expected {}",
                                           config::quoted(decision.rule), rule.error().expected));
  }
  reader.finish(TomlReader::Unknown::kError);
  into.push_back(std::move(decision));
}

[[nodiscard]] bool has_folder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(fs::path(folder).parent_path(), error);
  return ::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST;
}

// Held while the file is changed, so that two who write at the same time lose nothing.
[[nodiscard]] std::expected<UniqueFd, std::string> lock_folder(const std::string& folder) {
  if (!has_folder(folder)) return failed(folder, "cannot be made");
  UniqueFd lock(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock.valid()) return failed(folder, "cannot be opened");
  if (::flock(lock.get(), LOCK_EX) != 0) return failed(folder, "cannot be locked");
  return lock;
}

[[nodiscard]] bool write_whole(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return ::fsync(fd) == 0;
}

[[nodiscard]] std::string_view target_of(const Decision& decision) {
  const std::string_view rule(decision.rule);
  return rule.substr(std::min(rule.find(' '), rule.size() - 1) + 1);
}

}  // namespace

std::expected<DecisionFile, std::string> DecisionFile::of_this_user() {
  const auto folder = [](const char* variable) {
    const char* const value = std::getenv(variable);
    const fs::path path(value != nullptr ? value : "");
    return path.is_absolute() ? path : fs::path{};
  };
  fs::path settings = folder("XDG_CONFIG_HOME");
  if (settings.empty()) {
    const fs::path home = folder("HOME");
    if (home.empty())
      return std::unexpected("neither XDG_CONFIG_HOME nor HOME says where yours is");
    settings = home / ".config";
  }
  return DecisionFile((settings / "sluice" / "decisions.toml").string());
}

std::expected<policy::DraftRule, policy::RuleError> rule_of(const Decision& decision) {
  for (const Effect effect : {Effect::kAllow, Effect::kDeny}) {
    const std::string begin = fmt::format("{} ", policy::to_string(effect));
    if (!decision.rule.starts_with(begin)) continue;
    auto target = policy::parse_egress_target(std::string_view(decision.rule).substr(begin.size()));
    if (!target) return std::unexpected(std::move(target.error()));
    return policy::DraftRule{std::move(*target),
                             {.id = "remembered: " + decision.rule,
                              .effect = effect,
                              .note = {},
                              .source = "decisions",
                              .decision = true}};
  }
  return std::unexpected(policy::RuleError{"one as \"allow example.com:443/tcp\" or \"deny …\""});
}

std::string decided_at(std::chrono::system_clock::time_point time) {
  return fmt::format("{:%FT%TZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

std::optional<std::string> DecisionFile::make_folder() const {
  std::string folder = fs::path(path_).parent_path().string();
  if (!has_folder(folder)) return std::nullopt;
  return folder;
}

std::expected<std::vector<Decision>, std::string> DecisionFile::load() const {
  const UniqueFd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file.valid()) {
    if (errno == ENOENT || errno == ENOTDIR) return std::vector<Decision>{};
    return failed(path_, "cannot be read");
  }
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return failed(path_, "cannot be read");
  if (!S_ISREG(status.st_mode) || status.st_size > kFileSizeMax) {
    return std::unexpected(path_ + ": expected a file of decisions, of 16 MiB at most");
  }
  // Who else may write there could answer in our place.
  if (status.st_uid != ::geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return std::unexpected(
        fmt::format("{}: others can write it; expected it to be yours alone (chmod 600)", path_));
  }
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + have, text.size() - have);
    if (got < 0) return failed(path_, "cannot be read");
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  text.resize(have);
  Messages messages(path_);
  const auto document = parse_toml(text);
  if (!document) {
    return std::unexpected(
        fmt::format("{}:{}: not TOML: {}", path_, document.error().line, document.error().text));
  }
  TomlReader reader(*document, "", messages);
  (void)reader.integer("version", 1, 1);
  std::vector<Decision> decisions;
  for (const TomlValue* value : reader.tables("decision")) {
    read_decision(*value, decisions, messages);
  }
  reader.finish(TomlReader::Unknown::kError);
  if (!messages.any_error()) return decisions;
  std::string errors;
  for (const ConfigMessage& error : messages.take_all()) {
    errors += fmt::format("{}{}", errors.empty() ? "" : "\n", error.describe());
  }
  return std::unexpected(std::move(errors));
}

std::expected<void, std::string> DecisionFile::store(const std::vector<Decision>& decisions) const {
  const std::string fresh = fmt::format("{}.{}", path_, ::getpid());
  ::unlink(fresh.c_str());
  const UniqueFd file(
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return failed(fresh, "cannot be made");
  const bool written = write_whole(file.get(), text_of(decisions));
  if (written && ::rename(fresh.c_str(), path_.c_str()) == 0) return {};
  const int reason = errno;
  ::unlink(fresh.c_str());
  errno = reason;
  return failed(path_, "cannot be written");
}

template <typename Change>
std::expected<std::size_t, std::string> DecisionFile::change(const Change& how) const {
  const auto lock = lock_folder(fs::path(path_).parent_path().string());
  if (!lock) return std::unexpected(lock.error());
  auto decisions = load();
  if (!decisions) return std::unexpected(decisions.error());
  const std::size_t changed = how(*decisions);
  if (changed == 0) return 0;
  if (decisions->size() > kDecisionsMax) {
    return std::unexpected(
        fmt::format("{}: there are {} decisions, which is the most; 'sluice "
                    "decisions forget' makes room",
                    path_, kDecisionsMax));
  }
  if (auto stored = store(*decisions); !stored) return std::unexpected(stored.error());
  return changed;
}

std::expected<void, std::string> DecisionFile::remember(Decision decision) const {
  if (const auto rule = rule_of(decision); !rule) {
    return std::unexpected(fmt::format("{} is no rule to remember", config::quoted(decision.rule)));
  }
  const auto changed = change([&](std::vector<Decision>& decisions) -> std::size_t {
    std::erase_if(decisions,
                  [&](const Decision& old) { return target_of(old) == target_of(decision); });
    decisions.push_back(std::move(decision));
    return 1;
  });
  if (!changed) return std::unexpected(changed.error());
  return {};
}

std::expected<std::size_t, std::string> DecisionFile::forget(const std::string& which) const {
  std::size_t place = 0;
  const char* const end = which.data() + which.size();
  const auto [stop, error] = std::from_chars(which.data(), end, place);
  const bool is_place = error == std::errc{} && stop == end;
  return change([&](std::vector<Decision>& decisions) {
    std::size_t at = 0;
    return std::erase_if(decisions, [&](const Decision& decision) {
      ++at;
      return which == "all" ||
             (is_place ? at == place : which == decision.rule || which == target_of(decision));
    });
  });
}

}  // namespace sluice::config
