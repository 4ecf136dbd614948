#include "serve/metrics/metrics_request.h"

#include "base/bytes.h"
#include "wire/first_bytes/http_head.h"
#include "wire/messages/domain_name.h"

namespace sluice::serve {
namespace {

constexpr std::string_view kEndOfHead = "\r\n\r\n";

[[nodiscard]] ByteView bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

[[nodiscard]] bool may_ask(const wire::HttpHead& head, MetricsHosts hosts) {
  if (hosts == MetricsHosts::kAny || !head.host) return true;
  return *head.host == *wire::DomainName::from_text("localhost");
}

// "/metrics" of "GET /metrics?x HTTP/1.1", or of "GET http://host/metrics HTTP/1.1".
[[nodiscard]] std::string_view path_of(std::string_view line, std::size_t method_end) {
  std::string_view target = line.substr(method_end + 1);
  target = target.substr(0, target.find(' '));
  if (const std::size_t scheme = target.find("://"); !target.starts_with('/')) {
    if (scheme == std::string_view::npos) return target;
    const std::size_t slash = target.find('/', scheme + 3);
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  return target.substr(0, target.find('?'));
}

}  // namespace

std::optional<MetricsRequest> read_metrics_request(std::string_view bytes, MetricsHosts hosts) {
  const std::size_t end = bytes.find(kEndOfHead);
  if (end == std::string_view::npos) {
    if (bytes.size() >= kMetricsRequestMax) return MetricsRequest{MetricsReply::kTooLong};
    // It is told early, so that whoever speaks another protocol does not wait.
    if (wire::http_likeness(bytes_of(bytes)) == wire::HttpLikeness::kNone) {
      return MetricsRequest{MetricsReply::kBadRequest};
    }
    return std::nullopt;
  }
  bytes = bytes.substr(0, end + kEndOfHead.size());
  if (bytes.size() > kMetricsRequestMax) return MetricsRequest{MetricsReply::kTooLong};
  const wire::HttpHead head = wire::read_http_head(bytes_of(bytes));
  if (head.fault != wire::HttpFault::kNone) return MetricsRequest{MetricsReply::kBadRequest};
  if (!may_ask(head, hosts)) return MetricsRequest{MetricsReply::kForbidden};
  const std::size_t method_end = bytes.find(' ');
  const std::string_view method = bytes.substr(0, method_end);
  if (method != "GET" && method != "HEAD") return MetricsRequest{MetricsReply::kBadMethod};
  const bool found = path_of(bytes, method_end) == "/metrics";
  return MetricsRequest{found ? MetricsReply::kMetrics : MetricsReply::kNotFound, method == "HEAD"};
}

}  // namespace sluice::serve
