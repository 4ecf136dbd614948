#include "control/control_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "control/run_address.h"
#include "sys/unix_socket.h"

namespace sluice::control {
namespace {

constexpr int kBacklog = 16;
constexpr std::uint64_t kListenerTag = ControlServer::kClientsMax;
constexpr std::size_t kAcceptsEach = 4;
constexpr Duration kPause = std::chrono::seconds(1);
// With all places taken, one who has been silent for this long leaves it to another.
constexpr Duration kSilence = std::chrono::seconds(1);

}  // namespace

std::expected<std::unique_ptr<ControlServer>, sys::SysError> ControlServer::open(
    sys::Kernel& kernel, const std::string& run, std::optional<uid_t> owner) {
  constexpr mode_t kMode = 0600;  // Says nothing of an abstract name.
  auto listener = sys::bind_unix(kernel, SOCK_STREAM, socket_name(::getuid(), run), kMode);
  if (!listener) return std::unexpected(listener.error());
  if (kernel.listen(listener->get(), kBacklog) != 0) {
    return std::unexpected(sys::last_error(sys::SysOp::kListen));
  }
  auto loop = sys::EventLoop::create(kernel);
  if (!loop) return std::unexpected(loop.error());
  if (auto watched = loop->add(listener->get(), EPOLLIN, kListenerTag); !watched) {
    return std::unexpected(watched.error());
  }
  return std::unique_ptr<ControlServer>(new ControlServer(
      kernel, std::move(*loop), std::move(*listener), owner.value_or(::getuid())));
}

ControlServer::~ControlServer() {
  for (std::size_t place = 0; place < kClientsMax; ++place) drop(place);
}

Instant ControlServer::next_wakeup(Instant now) const {
  Instant next = resume_at_;
  for (const auto& client : clients_) {
    if (client == nullptr) continue;
    if (client->has_line()) return now;
    next = std::min(next, client->deadline());
  }
  return next;
}

void ControlServer::turn(Instant now) {
  std::array<epoll_event, kClientsMax + 1> ready{};
  const std::size_t count = loop_.wait(ready, now, now).value_or(0);
  bool called = false;
  for (std::size_t i = 0; i < count; ++i) {
    const auto place = static_cast<std::size_t>(ready[i].data.u64);
    if (place == kListenerTag) {
      called = true;
    } else if (clients_[place] != nullptr && !hear(*clients_[place], ready[i].events, now)) {
      drop(place);
    }
  }
  left_ = kRequestsEach;
  for (std::size_t i = 0; i < kClientsMax; ++i) {
    const std::size_t place = (first_ + i) % kClientsMax;
    Client* const client = clients_[place].get();
    if (client == nullptr) continue;
    serve_lines(*client);
    if (!client->write(now) || client->is_done() || now >= client->deadline()) {
      drop(place);
    } else {
      watch(place);
    }
  }
  first_ = (first_ + 1) % kClientsMax;
  if (called) accept(now);
  if (now >= resume_at_) {
    resume_at_ = kNever;
    (void)loop_.modify(listener_.get(), EPOLLIN, kListenerTag);  // It was added.
  }
}

bool ControlServer::hear(Client& client, std::uint32_t events, Instant now) {
  // Of one who only listens nothing tells but this that he is gone.
  if (client.events() != nullptr && (events & (EPOLLHUP | EPOLLERR)) != 0) return false;
  return (events & ~std::uint32_t{EPOLLOUT}) == 0 || client.read(now);
}

void ControlServer::accept(Instant now) {
  for (std::size_t i = 0; i < kAcceptsEach; ++i) {
    sys::KernelFd socket(
        kernel_, kernel_.accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.valid()) {
      if (sys::is_exhaustion(errno)) pause(now);
      return;
    }
    if (!is_ours(socket)) continue;
    const std::size_t place = place_for_another(now);
    auto client = std::make_unique<Client>(std::move(socket), now);
    if (place == kClientsMax) {
      Answer(client->output(), 0).fail("too-many-clients", "all places are taken; try again later");
      (void)client->write(now);
      continue;
    }
    constexpr std::uint32_t kEvents = EPOLLIN;
    client->watched = kEvents;
    if (loop_.add(client->fd(), kEvents, place)) clients_[place] = std::move(client);
  }
}

// No descriptor is left, and whoever calls stays in the queue.
void ControlServer::pause(Instant now) {
  resume_at_ = now + kPause;
  (void)loop_.modify(listener_.get(), 0, kListenerTag);  // It was added.
}

bool ControlServer::is_ours(const sys::KernelFd& socket) const {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (kernel_.getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return false;
  return peer.uid == owner_ || peer.uid == 0;
}

// A free one, or that of the client that has been silent for longest.
std::size_t ControlServer::place_for_another(Instant now) {
  std::size_t silent = kClientsMax;
  for (std::size_t place = 0; place < kClientsMax; ++place) {
    Client* const client = clients_[place].get();
    if (client == nullptr) return place;
    if (client->events() != nullptr || now < client->moved() + kSilence) continue;
    if (silent == kClientsMax || client->moved() < clients_[silent]->moved()) silent = place;
  }
  if (silent != kClientsMax) drop(silent);
  return silent;
}

void ControlServer::serve_lines(Client& client) {
  while (left_ > 0 && client.has_line() && !client.line_too_long()) {
    --left_;
    const auto request = parse_request(client.take_line());
    if (request) {
      carry_out(client, *request);
    } else {
      Answer(client.output(), request.error().id)
          .fail(request.error().error, request.error().message);
    }
  }
  if (client.line_too_long()) {
    Answer(client.output(), 0).fail("line-too-long", "a request has 65536 bytes at most");
    client.finish();
  }
}

void ControlServer::carry_out(Client& client, const Request& request) {
  Answer answer(client.output(), request.id);
  if (request.verb == Verb::kSubscribe) {
    subscribe(client, request, answer);
  } else {
    controlled_->on_request(request, answer);
  }
}

void ControlServer::subscribe(Client& client, const Request& request, Answer& answer) {
  if (events_ == nullptr) {
    answer.fail("no-events", "this program tells no events");
    return;
  }
  answer.done();
  events_->subscribe(client.subscribe());
  if (subscribers_++ == 0) controlled_->on_listeners(true);
  client.answers_questions = request.answers;
  if (client.answers_questions) controlled_->on_answerer(true);
}

void ControlServer::watch(std::size_t place) {
  Client& client = *clients_[place];
  const std::uint32_t wanted =
      (client.wants_input() ? EPOLLIN : 0U) | (client.has_output() ? EPOLLOUT : 0U);
  if (wanted == client.watched) return;
  client.watched = wanted;
  (void)loop_.modify(client.fd(), wanted, place);  // It was added.
}

void ControlServer::drop(std::size_t place) {
  if (clients_[place] == nullptr) return;
  if (telemetry::EventQueue* const queue = clients_[place]->events()) {
    events_->unsubscribe(*queue);
    if (--subscribers_ == 0) controlled_->on_listeners(false);
    if (clients_[place]->answers_questions) controlled_->on_answerer(false);
  }
  clients_[place].reset();
}

}  // namespace sluice::control
