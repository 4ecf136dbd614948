#include "serve/metrics/metrics_server.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "base/unreachable.h"
#include "host/accept.h"
#include "sys/sockaddr.h"
#include "sys/socket_options.h"
#include "telemetry/metrics/exposition.h"

namespace sluice::serve {
namespace {

constexpr int kBacklog = 16;
constexpr std::uint64_t kListenerTag = MetricsServer::kClientsMax;
constexpr std::size_t kAcceptsEach = 4;
constexpr std::size_t kReadSize = 4 * 1024;
// With all places taken, whoever has his for so long leaves it to the next.
constexpr Duration kTurnOfOne = std::chrono::seconds(1);

[[nodiscard]] bool would_block(int error) { return error == EAGAIN || error == EINTR; }

[[nodiscard]] std::expected<sys::KernelFd, sys::SysError> listen_at(
    sys::Kernel& kernel, const wire::Endpoint& endpoint) {
  const int family = sys::address_family(endpoint.address.family());
  auto fd = sys::open_socket(kernel, family, SOCK_STREAM, 0);
  if (!fd) return std::unexpected(fd.error());
  if (auto set = sys::set_option(*fd, SOL_SOCKET, SO_REUSEADDR, 1); !set) {
    return std::unexpected(set.error());
  }
  if (auto bound = sys::bind_to(*fd, endpoint); !bound) return std::unexpected(bound.error());
  if (kernel.listen(fd->get(), kBacklog) != 0) {
    return std::unexpected(sys::last_error(sys::SysOp::kListen));
  }
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
  auto listener = listen_at(kernel, endpoint);
  if (!listener) return std::unexpected(listener.error());
  const auto bound = sys::local_endpoint_of(*listener);
  if (!bound) return std::unexpected(bound.error());
  auto loop = sys::EventLoop::create(kernel);
  if (!loop) return std::unexpected(loop.error());
  if (auto watched = loop->add(listener->get(), EPOLLIN, kListenerTag); !watched) {
    return std::unexpected(watched.error());
  }
  return std::unique_ptr<MetricsServer>(
      new MetricsServer(std::move(*loop), std::move(*listener), *bound));
}

Instant MetricsServer::next_wakeup() const {
  Instant next = resume_at_;
  for (const auto& client : clients_) {
    if (client != nullptr) next = std::min(next, client->until);
  }
  return next;
}

void MetricsServer::turn(Instant now) {
  std::array<epoll_event, kClientsMax + 1> ready{};
  const std::size_t count = loop_.wait(ready, now, now).value_or(0);
  bool called = false;
  for (std::size_t i = 0; i < count; ++i) {
    const auto place = static_cast<std::size_t>(ready[i].data.u64);
    if (place == kListenerTag) {
      called = true;
    } else if (clients_[place] != nullptr && !advance(place, now)) {
      clients_[place].reset();
    }
  }
  for (auto& client : clients_) {
    if (client != nullptr && now >= client->until) client.reset();
  }
  if (called) accept(now);
  if (now >= resume_at_) {
    resume_at_ = kNever;
    set_accepting(true);
  }
}

void MetricsServer::set_accepting(bool accepting) {
  // It was added.
  (void)loop_.modify(listener_.get(), accepting ? std::uint32_t{EPOLLIN} : 0U, kListenerTag);
}

void MetricsServer::accept(Instant now) {
  for (std::size_t i = 0; i < kAcceptsEach; ++i) {
    const std::size_t place = place_for_another(now);
    if (place == kClientsMax) {
      // Whoever calls stays in the kernel's queue until one of them has had his time.
      resume_at_ = now + host::kAcceptPause;
      set_accepting(false);
      return;
    }
    auto accepted = host::accept_from(listener_);
    if (!accepted && sys::is_exhaustion(accepted.error().error)) {
      resume_at_ = now + host::kAcceptPause;
      set_accepting(false);
    }
    if (!accepted || !*accepted) return;
    auto client = std::make_unique<Client>();
    client->socket = std::move((*accepted)->socket);
    client->began = now;
    client->until = now + kPatience;
    if (!loop_.add(client->socket.get(), EPOLLIN, place)) continue;
    clients_[place] = std::move(client);
    // The request is there already, as a rule.
    if (!advance(place, now)) clients_[place].reset();
  }
}

// A free one, or that of whoever came first, if he has had his time.
std::size_t MetricsServer::place_for_another(Instant now) {
  std::size_t first = kClientsMax;
  for (std::size_t place = 0; place < kClientsMax; ++place) {
    if (clients_[place] == nullptr) return place;
    if (now < clients_[place]->began + kTurnOfOne) continue;
    if (first == kClientsMax || clients_[place]->began < clients_[first]->began) first = place;
  }
  if (first != kClientsMax) clients_[first].reset();
  return first;
}

bool MetricsServer::advance(std::size_t place, Instant now) {
  Client& client = *clients_[place];
  if (client.output.empty()) {
    if (!read(client)) return false;
    const auto hosts =
        endpoint_.address.is_loopback() ? MetricsHosts::kLoopback : MetricsHosts::kAny;
    const auto request = read_metrics_request(client.input, hosts);
    if (!request) return true;
    client.output = answer(*request, now);
    client.until = now + kPatience;
  }
  if (!write(client)) return false;
  (void)loop_.modify(client.socket.get(), EPOLLOUT, place);  // It was added.
  return true;
}

// False: it is gone.
bool MetricsServer::read(Client& client) {
  const std::size_t had = client.input.size();
  client.input.resize(had + kReadSize);
  const ssize_t got = client.socket.kernel().recv(client.socket.get(), client.input.data() + had,
                                                  kReadSize, MSG_DONTWAIT);
  const int error = errno;
  client.input.resize(had + (got > 0 ? static_cast<std::size_t>(got) : 0));
  return got > 0 || (got < 0 && would_block(error));
}

// False: it has all, or is gone.
bool MetricsServer::write(Client& client) {
  while (client.sent < client.output.size()) {
    const ssize_t sent = client.socket.kernel().send(
        client.socket.get(), client.output.data() + client.sent, client.output.size() - client.sent,
        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) return would_block(errno);
    client.sent += static_cast<std::size_t>(sent);
  }
  return false;
}

std::string MetricsServer::answer(const MetricsRequest& request, Instant now) {
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
