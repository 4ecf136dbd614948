// rinetd.conf as rinetd 0.73 reads it, a line at a time:
//
//   bindaddress bindport[/tcp|/udp] connectaddress connectport[/tcp|/udp] [option,…]
//   allow PATTERN | deny PATTERN     before the first rule: of all; else of the rule before
//   logfile PATH | logcommon | pidlogfile PATH
//   # a comment, also behind a line
//
// Where rinetd silently does something else than what stands there, this does what stands there: a
// last line without its newline counts, a port above 65535 is an error (rinetd keeps its lower 16
// bits). A timeout is of UDP sessions only, as rinetd's is.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "config/forward_config.h"
#include "config/messages.h"
#include "config/place_text.h"
#include "config/rule_checks.h"
#include "config/units.h"

namespace sluice::config {
namespace {

using policy::Protocol;

constexpr std::string_view kBlank = " \t\r";

// Takes words off the front of a line.
class Line {
 public:
  explicit Line(std::string_view text) : text_(text) { skip_blank(); }

  // Up to a blank or one of `ends`.
  std::string_view word(std::string_view ends = {}) {
    const std::size_t end = std::min(text_.find_first_of(kBlank), text_.find_first_of(ends));
    const std::string_view taken = text_.substr(0, end);
    text_.remove_prefix(taken.size());
    skip_blank();
    return taken;
  }
  bool take(char c) {
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    skip_blank();
    return true;
  }
  // Nothing is left but a comment.
  [[nodiscard]] bool at_end() const { return text_.empty() || text_[0] == '#'; }
  [[nodiscard]] std::string_view rest() const { return text_; }

 private:
  void skip_blank() {
    text_.remove_prefix(std::min(text_.find_first_not_of(kBlank), text_.size()));
  }
  std::string_view text_;
};

struct PortWord {
  std::string_view port;
  Protocol protocol = Protocol::kTcp;
};

std::optional<PortWord> cut_protocol(std::string_view word) {
  const std::size_t slash = word.find('/');
  if (slash == std::string_view::npos) return PortWord{word};
  const std::string_view name = word.substr(slash + 1);
  if (name == "tcp") return PortWord{word.substr(0, slash), Protocol::kTcp};
  if (name == "udp") return PortWord{word.substr(0, slash), Protocol::kUdp};
  return std::nullopt;
}

class Reader {
 public:
  explicit Reader(const std::string& file) : messages_(file) {}

  void read_line(std::string_view text) {
    ++line_;
    Line line(text);
    if (line.at_end()) return;
    Line behind = line;
    const std::string_view first = behind.word("#");
    if (first == "allow" || first == "deny") {
      read_pattern(first, behind);
    } else if (first == "logfile") {
      read_path(first, behind, plan_.log_file);
    } else if (first == "pidlogfile") {
      read_path(first, behind, plan_.pid_file);
    } else if (first == "logcommon") {
      plan_.log_format = forward::LogFormat::kCommon;
      if (!behind.at_end()) error("logcommon stands alone; remove what follows it");
    } else {
      read_rule(line);
    }
  }

  [[nodiscard]] std::expected<LoadedPlan, ConfigErrors> finish() {
    return finish_plan(std::move(plan_), std::move(messages_));
  }

 private:
  void error(std::string text) { messages_.error(line_, std::move(text)); }

  void read_pattern(std::string_view keyword, Line& line) {
    const std::string_view text = line.word("#");
    if (text.empty() || !line.at_end()) {
      error(
          fmt::format("{} needs one pattern as 192.168.1.*; each has a line of its own", keyword));
      return;
    }
    auto pattern = policy::AddressPattern::parse(text);
    // rinetd takes any text of these characters and compares it with addresses.
    const bool is_rinetds =
        text.size() <= policy::AddressPattern::kTextSizeMax &&
        text.find_first_not_of("0123456789abcdefABCDEF.:?*") == std::string_view::npos;
    if (!pattern && is_rinetds) {
      messages_.warn(line_, fmt::format("pattern {} is no whole address and has no wildcard, so no "
                                        "client matches it; expected {}",
                                        quoted(text), pattern.error().expected));
      pattern = policy::AddressPattern::wildcard(text);
    }
    if (!pattern) {
      error(fmt::format("{} is not an address pattern; expected {}", quoted(text),
                        pattern.error().expected));
      return;
    }
    // What follows a rule that has a mistake is that rule's; it must not become everyone's.
    policy::AccessList& list = rule_seen_ ? own_access() : plan_.access;
    (keyword == "allow" ? list.allow : list.deny).push_back(std::move(*pattern));
  }

  policy::AccessList& own_access() {
    return plan_.rules.empty() ? lost_access_ : plan_.rules.back().access;
  }

  // A path may hold '#', and begin with it.
  void read_path(std::string_view keyword, Line& line, std::string& into) {
    const std::string_view path = line.word();
    if (path.empty() || !line.at_end()) {
      error(fmt::format("{} needs one path without blanks as /var/log/rinetd.log", keyword));
      return;
    }
    if (path.find('\0') != std::string_view::npos) {
      error(fmt::format("{} is no path: it holds a zero byte", quoted(path)));
      return;
    }
    into = path;
  }

  void read_rule(Line& line) {
    rule_seen_ = true;
    const std::string_view from_host = line.word("#");
    const std::string_view from_port = line.word("#");
    const std::string_view to_host = line.word("#");
    const std::string_view to_port = line.word("#[");
    if (to_port.empty()) {
      error(
          fmt::format("{} begins no line that is known; expected 'bindaddress bindport "
                      "connectaddress connectport [options]', allow, deny, logfile, logcommon or "
                      "pidlogfile",
                      quoted(from_host)));
      return;
    }
    forward::Rule rule;
    rule.where = {messages_.file(), line_};
    forward::Target target;
    bool good = read_place(from_host, from_port, Side::kListen, rule.listen);
    good = read_place(to_host, to_port, Side::kTarget, target.place) && good;
    rule.targets.push_back(std::move(target));
    good = read_options(line, rule) && good;
    if (good) plan_.rules.push_back(std::move(rule));
  }

  bool read_place(std::string_view host, std::string_view port, Side side, forward::Place& into) {
    auto parsed_host = parse_host(host, side);
    if (!parsed_host) error(parsed_host.error());
    const auto word = cut_protocol(port);
    if (!word) {
      error(
          fmt::format("{} ends in no protocol that is known; expected /tcp or /udp", quoted(port)));
      return false;
    }
    const auto parsed_port = parse_port(word->port, word->protocol);
    if (!parsed_port) error(parsed_port.error());
    if (!parsed_host || !parsed_port) return false;
    into.protocol = word->protocol;
    into.host = std::move(parsed_host->text);
    into.scope_id = parsed_host->scope_id;
    into.port = *parsed_port;
    return true;
  }

  bool read_options(Line& line, forward::Rule& rule) {
    if (line.at_end()) return true;
    if (!line.take('[')) {
      error(
          fmt::format("{} follows the rule; expected options in brackets as "
                      "[timeout=3600,src=10.1.1.2]",
                      quoted(line.rest())));
      return false;
    }
    bool good = true;
    do {
      const std::string_view name = line.word("=,]#");
      const bool has_value = line.take('=');
      const std::string_view value = has_value ? line.word(",]#") : std::string_view();
      good = read_option(name, value, rule) && good;
    } while (line.take(','));
    if (!line.take(']') || !line.at_end()) {
      error(
          "options are not closed where they end; expected one pair of brackets with commas "
          "between the options as [timeout=3600,src=10.1.1.2]");
      return false;
    }
    return good;
  }

  bool read_option(std::string_view name, std::string_view value, forward::Rule& rule) {
    if (name == "timeout") return read_timeout(value, rule);
    if (name == "src") {
      const auto host = parse_host(value, Side::kListen);
      const auto address = wire::parse_ip(host ? host->text : std::string());
      if (address) {
        rule.socket.source = *address;
        return true;
      }
      error(
          fmt::format("src {} is no address; expected one of this host's as src=10.1.1.2 (names "
                      "are not looked up here)",
                      quoted(value)));
      return false;
    }
    error(
        fmt::format("option {} is unknown; expected timeout=SECONDS or src=ADDRESS", quoted(name)));
    return false;
  }

  bool read_timeout(std::string_view value, forward::Rule& rule) {
    const bool digits =
        !value.empty() && value.find_first_not_of("0123456789") == std::string_view::npos;
    if (!digits) {
      error(fmt::format("timeout {} is no number of seconds; expected one as timeout=3600",
                        quoted(value)));
      return false;
    }
    const bool any_udp = rule.listens_udp() || rule.targets_udp();
    if (!any_udp) {
      messages_.warn(line_,
                     "timeout has no effect on TCP, as in rinetd; an idle limit of "
                     "connections is a setting of the TOML form");
      return true;
    }
    const auto duration = parse_duration(value);
    rule.timeouts.udp_session = duration.value_or(kDurationMax);
    if (rule.timeouts.udp_session == Duration::zero()) {
      messages_.warn(line_, "timeout 0 would end a session with its first datagram; 1 s is used");
      rule.timeouts.udp_session = std::chrono::seconds{1};
    }
    return true;
  }

  Messages messages_;
  forward::Plan plan_;
  policy::AccessList lost_access_;  // Of a first rule that has a mistake.
  unsigned line_ = 0;
  bool rule_seen_ = false;
};

}  // namespace

std::expected<LoadedPlan, ConfigErrors> parse_rinetd_conf(std::string_view text,
                                                          const std::string& file) {
  Reader reader(file);
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    reader.read_line(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return reader.finish();
}

}  // namespace sluice::config
