// Who may ask the page's server what. A browser sends requests for any page that it shows, and any
// page may have a name that leads to us (DNS rebinding); other programs of this machine, and a
// guest with --host-loopback, can connect, too. So each request must be for the very address that
// we print, must not come from another page, and must show that its page was opened by the URL with
// the token:
//
//   the token      stands in the fragment of the URL, which no request carries; the page sends it
//                  once and gets what follows
//   the cookie     HttpOnly and SameSite=Strict: no script has it, no other site's request carries
//                  it. But other ports of the address get it, a guest's published one, too
//   the key        which the page keeps in the storage of its origin, port included, and sends in a
//                  header of its own
//
// Pure: no request of a library's in here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::web {

// Hexadecimal texts of 256 random bits each.
struct Secrets {
  std::string token;
  std::string session;  // In the cookie.
  std::string key;
};

// What of a request counts. Empty: the header is not there.
struct RequestHead {
  std::string_view method;
  std::string_view path;
  std::string_view host;
  std::string_view origin;
  std::string_view fetch_site;  // Sec-Fetch-Site
  std::string_view content_type;
  std::string_view cookie;
  std::string_view key;  // X-Sluice-Key
};

enum class Access : std::uint16_t {
  kGranted = 200,
  kForbidden = 403,
  kNotFound = 404,
  kBadMethod = 405,
  kBadType = 415,
};
// A sentence for whoever was not let in.
[[nodiscard]] std::string_view words_of(Access access);

// What there is: files of the page, and what they ask for.
enum class Route : std::uint8_t { kAsset, kSession, kRuns, kAsk, kDomains, kEvents, kNone };
[[nodiscard]] Route route_of(std::string_view path);

class Gatekeeper {
 public:
  static constexpr std::string_view kCookie = "sluice";
  static constexpr const char* kKeyHeader = "X-Sluice-Key";

  // `authority` is what the URL has: "127.0.0.1:40123".
  Gatekeeper(std::string authority, Secrets secrets)
      : authority_(std::move(authority)), secrets_(std::move(secrets)) {}

  [[nodiscard]] Access judge(const RequestHead& head) const;
  // Whether the page was opened by the URL that was printed.
  [[nodiscard]] bool opens(std::string_view token) const;

  [[nodiscard]] const Secrets& secrets() const { return secrets_; }
  [[nodiscard]] std::string url() const;

 private:
  [[nodiscard]] bool is_ours(const RequestHead& head) const;
  [[nodiscard]] bool has_session(const RequestHead& head) const;

  std::string authority_;
  Secrets secrets_;
};

// Takes as long whatever the texts have in common.
[[nodiscard]] bool same_secret(std::string_view given, std::string_view secret);

}  // namespace sluice::web
