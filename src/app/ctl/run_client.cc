#include "app/ctl/run_client.h"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "app/ctl/ctl_tables.h"
#include "control/run_address.h"

namespace sluice::app {

using control::Connection;
using control::Verb;
using Json = nlohmann::json;

std::string request_line(Verb verb) {
  return request_line(verb, [](telemetry::JsonLine&) {});
}

std::expected<Asked, std::string> ask(Connection& run, const std::string& line,
                                      const OnItem& on_item) {
  if (!run.send(line)) return std::unexpected("the run has ended");
  while (true) {
    const auto answer = run.read_line();
    if (!answer) return std::unexpected(answer.error());
    Asked asked{std::string(*answer), Json::parse(*answer, nullptr, false)};
    if (!asked.answer.is_object()) return std::unexpected("the run speaks another language");
    if (asked.answer.contains("ok")) return asked;
    on_item(asked.last);
  }
}

std::expected<Asked, std::string> ask_pages(Connection& run, Verb verb, const OnItem& on_item) {
  std::string from;
  while (true) {
    auto page = ask(run,
                    request_line(verb,
                                 [&](telemetry::JsonLine& line) {
                                   if (!from.empty()) line.text("from", from);
                                 }),
                    on_item);
    if (!page || !page->ok()) return page;
    const Json next = page->answer.value("next", Json());
    if (!next.is_string()) return page;
    from = next.get<std::string>();
  }
}

std::string message_of(const Asked& asked) {
  const auto found = asked.answer.find("message");
  return found != asked.answer.end() && found->is_string() ? shown(found->get<std::string>()) : "";
}

std::expected<Connection, std::string> connect_to_run(const std::string& wanted) {
  if (!wanted.empty()) return Connection::open(wanted);
  std::string several;
  std::vector<Connection> open;
  for (const std::string& name : control::list_runs(::getuid())) {
    if (auto run = Connection::open(name)) {
      open.push_back(std::move(*run));
      several += fmt::format("{}{}", several.empty() ? "" : ", ", name);
    }
  }
  if (open.empty()) return std::unexpected("nothing of yours runs");
  if (open.size() > 1) return std::unexpected(fmt::format("which run? {}", several));
  return std::move(open.front());
}

}  // namespace sluice::app
