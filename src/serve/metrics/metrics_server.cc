#include "serve/metrics/metrics_server.h"

#include <sys/socket.h>

#include <utility>

#include "base/unreachable.h"
#include "sys/sockaddr.h"
#include "sys/socket_options.h"
#include "telemetry/metrics/exposition.h"

namespace sluice::serve {
namespace {

[[nodiscard]] std::expected<sys::KernelFd, sys::SysError> bind_at(sys::Kernel& kernel,
                                                                  const wire::Endpoint& endpoint) {
  const int family = sys::address_family(endpoint.address.family());
  auto fd = sys::open_socket(kernel, family, SOCK_STREAM, 0);
  if (!fd) return std::unexpected(fd.error());
  if (auto set = sys::set_option(*fd, SOL_SOCKET, SO_REUSEADDR, 1); !set) {
    return std::unexpected(set.error());
  }
  if (auto bound = sys::bind_to(*fd, endpoint); !bound) return std::unexpected(bound.error());
  return std::move(*fd);
}

[[nodiscard]] std::string_view status_line(MetricsReply reply) {
  switch (reply) {
    case MetricsReply::kMetrics: return "200 OK";
    case MetricsReply::kBadRequest: return "400 Bad Request";
    case MetricsReply::kForbidden: return "403 Forbidden";
    case MetricsReply::kNotFound: return "404 Not Found";
    case MetricsReply::kBadMethod: return "405 Method Not Allowed";
    case MetricsReply::kTooLong: return "431 Request Header Fields Too Large";
  }
  unreachable("reply outside its enum");
}

[[nodiscard]] std::string_view sentence(MetricsReply reply) {
  switch (reply) {
    case MetricsReply::kMetrics: return "";
    case MetricsReply::kBadRequest: return "This is no request of HTTP/1.\n";
    case MetricsReply::kForbidden: return "Ask by the address, or as localhost.\n";
    case MetricsReply::kNotFound: return "The metrics are at /metrics.\n";
    case MetricsReply::kBadMethod: return "Metrics are read by GET.\n";
    case MetricsReply::kTooLong: return "A request has 8192 bytes at most.\n";
  }
  unreachable("reply outside its enum");
}

}  // namespace

std::expected<std::unique_ptr<MetricsServer>, sys::SysError> MetricsServer::open(
    sys::Kernel& kernel, const wire::Endpoint& endpoint) {
  auto socket = bind_at(kernel, endpoint);
  if (!socket) return std::unexpected(socket.error());
  auto server = AnswerServer::listen(std::move(*socket), kMetricsRequestMax);
  if (!server) return std::unexpected(server.error());
  const auto bound = sys::local_endpoint_of(server->listener());
  if (!bound) return std::unexpected(bound.error());
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(*server), *bound));
}

// Half a request is none, and whoever ends with it is not answered.
std::optional<std::string> MetricsServer::answer(const Said& said, Instant now) {
  const auto hosts = endpoint_.address.is_loopback() ? MetricsHosts::kLoopback : MetricsHosts::kAny;
  const auto request = read_metrics_request(said.bytes, hosts);
  if (!request) return std::nullopt;
  return reply_to(*request, now);
}

std::string MetricsServer::reply_to(const MetricsRequest& request, Instant now) {
  const bool metrics = request.reply == MetricsReply::kMetrics;
  if (metrics && source_ != nullptr && now >= text_until_) {
    text_.clear();
    source_->append(text_);
    text_until_ = now + kFresh;
  }
  const std::string_view body =
      metrics ? std::string_view(text_.data(), text_.size()) : sentence(request.reply);
  const std::string_view allow =
      request.reply == MetricsReply::kBadMethod ? "Allow: GET, HEAD\r\n" : "";
  return fmt::format(
      "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nX-Content-Type-Options: nosniff\r\n"
      "{}Connection: close\r\n\r\n{}",
      status_line(request.reply),
      metrics ? telemetry::Exposition::kContentType : "text/plain; charset=utf-8", body.size(),
      allow, request.head ? "" : body);
}

}  // namespace sluice::serve
