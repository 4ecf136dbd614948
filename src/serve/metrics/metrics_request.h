// What somebody asks of the metrics' port: the head of a request of HTTP/1 (RFC 9112). One a
// connection, and nothing of it but its first line and its host means anything to us.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice::serve {

// A longer head is none.
inline constexpr std::size_t kMetricsRequestMax = 8 * 1024;

// Who may ask. Of a page that a browser shows, whose name may lead to us at any moment (DNS
// rebinding), the request has that name for its host.
enum class MetricsHosts : std::uint8_t {
  kAny,
  kLoopback,  // By an address, or as "localhost".
};

enum class MetricsReply : std::uint16_t {
  kMetrics = 200,
  kBadRequest = 400,
  kForbidden = 403,
  kNotFound = 404,
  kBadMethod = 405,
  kTooLong = 431,
};

struct MetricsRequest {
  MetricsReply reply = MetricsReply::kMetrics;
  bool head = false;  // HEAD: the answer's own head will do.
};

// `bytes` are all that has come. Nothing: the head is not whole yet.
[[nodiscard]] std::optional<MetricsRequest> read_metrics_request(std::string_view bytes,
                                                                 MetricsHosts hosts);

}  // namespace sluice::serve
