#include "flow/engine/inside_answers.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "wire/first_bytes/http_head.h"

namespace sluice::flow {
namespace {

constexpr std::size_t kDenialsShown = 20;

struct Page {
  std::string_view status = "200 OK";
  std::string_view type = "text/plain; charset=utf-8";
  std::string body{};
};

Page plain(std::string_view status, std::string body) {
  return {.status = status, .body = std::move(body)};
}

// A string of JSON. What is not plain ASCII is written by its number: names may hold any byte.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

// For a terminal.
std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (byte < 0x20 || byte == 0x7f) c = ' ';
  }
  return out;
}

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole ? std::optional(value) : std::nullopt;
}

Page why(std::string_view id, const RefusalBook& refusals) {
  const auto wanted = number(id);
  const auto refusal = wanted ? refusals.find(*wanted) : std::nullopt;
  if (!refusal) return plain("404 Not Found", "There is no such refusal, or it was long ago.\n");
  std::string body = fmt::format("{} is not allowed\nwhy:  {} ({})\nrule: {}\n",
                                 printable(refusal->what), policy::to_string(refusal->verdict),
                                 policy::reason_id(refusal->verdict), printable(refusal->rule));
  if (!refusal->note.empty()) body += fmt::format("note: {}\n", printable(refusal->note));
  body += fmt::format("times: {}\n", refusal->count);
  return {.body = std::move(body)};
}

Page denials(std::string_view query, const RefusalBook& refusals) {
  constexpr std::string_view kLast = "last=";
  std::size_t max = kDenialsShown;
  if (query.starts_with(kLast)) {
    const auto wanted = number(query.substr(kLast.size()));
    if (!wanted) return plain("400 Bad Request", "Expected ?last=NUMBER.\n");
    max = *wanted;
  }
  std::string body = "[";
  for (const NotedRefusal& refusal : refusals.newest(max)) {
    body += fmt::format(
        "{}{{\"id\":{},\"what\":{},\"reason\":\"{}\",\"rule\":{},\"note\":{},\"count\":{}}}",
        body.size() > 1 ? ",\n" : "\n", refusal.id, quoted(refusal.what),
        policy::reason_id(refusal.verdict), quoted(refusal.rule), quoted(refusal.note),
        refusal.count);
  }
  return {.type = "application/json", .body = body + "\n]\n"};
}

Page rules(const policy::EgressPolicy& policy) {
  std::string body =
      fmt::format("{{\"default\":\"{}\",\"rules\":[", policy::to_string(policy.default_effect()));
  const auto all = policy.rules().first(std::min(policy.rules().size(), kRulesShown));
  bool first = true;
  for (const policy::EgressRule& rule : all) {
    body += fmt::format("{}{{\"id\":{},\"effect\":\"{}\",\"target\":{},\"note\":{}}}",
                        std::exchange(first, false) ? "\n" : ",\n", quoted(rule.id),
                        policy::to_string(rule.effect), quoted(rule.text), quoted(rule.note));
  }
  body += fmt::format("\n],\"left_out\":{}}}\n", policy.rules().size() - all.size());
  return {.type = "application/json", .body = std::move(body)};
}

Page page_for(std::string_view target, const RefusalBook& refusals,
              const policy::EgressPolicy& policy) {
  constexpr std::string_view kWhy = "/why/";
  const std::string_view path = target.substr(0, target.find('?'));
  const std::string_view query =
      path.size() == target.size() ? std::string_view{} : target.substr(path.size() + 1);
  if (path == "/") {
    return {.body =
                "sluice decides what may be reached from here.\n\n"
                "/why/ID          why something was refused\n"
                "/denials?last=20 what was refused lately, as JSON\n"
                "/policy          the rules, as JSON\n"};
  }
  if (path.starts_with(kWhy)) return why(path.substr(kWhy.size()), refusals);
  if (path == "/denials") return denials(query, refusals);
  if (path == "/policy") return rules(policy);
  return plain("404 Not Found", "There is no such page. / says what there is.\n");
}

}  // namespace

std::vector<std::uint8_t> answer_inside(ByteView head, const RefusalBook& refusals,
                                        const policy::EgressPolicy& policy) {
  const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  const std::string_view line = text.substr(0, text.find('\r'));
  const std::size_t method_end = line.find(' ');
  const std::size_t target_end = line.rfind(' ');
  const std::string_view method = line.substr(0, method_end);
  Page page;
  if (wire::read_http_head(head).fault != wire::HttpFault::kNone || target_end <= method_end) {
    page = plain("400 Bad Request", "That is no request of HTTP/1.1.\n");
  } else if (method != "GET" && method != "HEAD") {
    page = plain("405 Method Not Allowed", "Nothing can be changed from here.\n");
  } else {
    page = page_for(line.substr(method_end + 1, target_end - method_end - 1), refusals, policy);
  }
  const std::string answer = fmt::format(
      "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n"
      "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{}",
      page.status, page.type, page.body.size(), method == "HEAD" ? std::string() : page.body);
  return {answer.begin(), answer.end()};
}

}  // namespace sluice::flow
