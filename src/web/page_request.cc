#include "web/page_request.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace sluice::web {
namespace {

using Json = nlohmann::ordered_json;

// Deeper than this nothing of ours goes.
constexpr int kDepthMax = 4;

// Nothing where it is no object, or nested deeper than any that the page sends.
[[nodiscard]] Json read_object(std::string_view body) {
  bool deep = false;
  const auto watch = [&deep](int depth, Json::parse_event_t, Json&) {
    deep = deep || depth > kDepthMax;
    return !deep;
  };
  // The parser keeps a bit for each level that is open, and no more.
  Json object = Json::parse(body.begin(), body.end(), watch, false);
  return !deep && object.is_object() ? object : Json();
}

}  // namespace

bool is_run_name(std::string_view text) {
  constexpr std::size_t kLengthMax = 16;
  return !text.empty() && text.size() <= kLengthMax && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  });
}

std::expected<RunRequest, std::string> read_run_request(std::string_view body) {
  Json object = read_object(body);
  if (object.is_null()) return std::unexpected("expected an object of JSON");
  const auto run = object.find("run");
  if (run == object.end() || !run->is_string() || !is_run_name(run->get<std::string>())) {
    return std::unexpected("'run' is not the name of a run");
  }
  RunRequest request{.run = run->get<std::string>(), .line = {}};
  object.erase("run");
  const auto verb = object.find("do");
  if (verb == object.end() || !verb->is_string()) return std::unexpected("'do' is missing");
  // Events come by a stream of their own, and what else the connection was asked would be lost.
  if (*verb == "subscribe") return std::unexpected("events are at /api/events");
  const auto scope = object.find("scope");
  request.always = scope != object.end() && *scope == "always";
  request.line = object.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
  return request;
}

std::string read_token(std::string_view body) {
  const Json object = read_object(body);
  if (object.is_null()) return {};
  const auto token = object.find("token");
  return token != object.end() && token->is_string() ? token->get<std::string>() : std::string();
}

std::expected<std::vector<std::string>, std::string> read_names(std::string_view body) {
  const Json object = read_object(body);
  const auto names = object.is_null() ? object.end() : object.find("names");
  if (object.is_null() || names == object.end() || !names->is_array()) {
    return std::unexpected("'names' is missing");
  }
  if (names->size() > kNamesMax) return std::unexpected("too many names");
  std::vector<std::string> list;
  for (const Json& name : *names) {
    if (!name.is_string()) return std::unexpected("a name is a text");
    list.push_back(name.get<std::string>());
  }
  return list;
}

}  // namespace sluice::web
