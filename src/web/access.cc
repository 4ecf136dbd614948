#include "web/access.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace sluice::web {
namespace {

constexpr std::array kRoutes{
    std::pair{std::string_view("/api/session"), Route::kSession},
    std::pair{std::string_view("/api/runs"), Route::kRuns},
    std::pair{std::string_view("/api/ask"), Route::kAsk},
    std::pair{std::string_view("/api/domains"), Route::kDomains},
    std::pair{std::string_view("/api/events"), Route::kEvents},
};

[[nodiscard]] bool equal_folded(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// "application/json", with parameters behind it or not.
[[nodiscard]] bool is_json(std::string_view type) {
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ')) type.remove_suffix(1);
  return equal_folded(type, "application/json");
}

// The value of a cookie in "a=1; b=2".
[[nodiscard]] std::string_view cookie_named(std::string_view cookies, std::string_view name) {
  while (!cookies.empty()) {
    const std::size_t end = std::min(cookies.find(';'), cookies.size());
    std::string_view one = cookies.substr(0, end);
    cookies.remove_prefix(std::min(end + 1, cookies.size()));
    while (one.starts_with(' ')) one.remove_prefix(1);
    if (one.starts_with(name) && one.substr(name.size()).starts_with('=')) {
      return one.substr(name.size() + 1);
    }
  }
  return {};
}

}  // namespace

bool same_secret(std::string_view given, std::string_view secret) {
  unsigned difference = given.size() == secret.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const char other = secret.empty() ? '\0' : secret[i % secret.size()];
    difference |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(other);
  }
  return difference == 0 && !secret.empty();
}

Route route_of(std::string_view path) {
  for (const auto& [name, route] : kRoutes) {
    if (path == name) return route;
  }
  return path.starts_with("/api/") ? Route::kNone : Route::kAsset;
}

bool Gatekeeper::is_ours(const RequestHead& head) const {
  if (head.host != authority_) return false;
  return head.origin.empty() || head.origin == "http://" + authority_;
}

bool Gatekeeper::has_session(const RequestHead& head) const {
  return same_secret(cookie_named(head.cookie, kCookie), secrets_.session) &&
         same_secret(head.key, secrets_.key);
}

std::string_view words_of(Access access) {
  switch (access) {
    case Access::kGranted: return "";
    case Access::kForbidden: return "open the page by the URL that 'sluice web' has printed";
    case Access::kNotFound: return "there is no such thing";
    case Access::kBadMethod: return "not by this method";
    case Access::kBadType: return "expected application/json";
  }
  return "";
}

Access Gatekeeper::judge(const RequestHead& head) const {
  if (!is_ours(head)) return Access::kForbidden;
  const Route route = route_of(head.path);
  if (route == Route::kAsset) {
    return head.method == "GET" || head.method == "HEAD" ? Access::kGranted : Access::kBadMethod;
  }
  const bool from_us = head.fetch_site.empty() || head.fetch_site == "same-origin";
  if (!from_us || (route != Route::kSession && !has_session(head))) return Access::kForbidden;
  if (route == Route::kNone) return Access::kNotFound;
  const bool reads = route == Route::kRuns || route == Route::kEvents;
  if (head.method != (reads ? "GET" : "POST")) return Access::kBadMethod;
  return reads || is_json(head.content_type) ? Access::kGranted : Access::kBadType;
}

bool Gatekeeper::opens(std::string_view token) const { return same_secret(token, secrets_.token); }

std::string Gatekeeper::url() const { return "http://" + authority_ + "/#" + secrets_.token; }

}  // namespace sluice::web
