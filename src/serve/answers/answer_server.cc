#include "serve/answers/answer_server.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "host/accept.h"

namespace sluice::serve {
namespace {

constexpr int kBacklog = 16;
constexpr std::uint64_t kListenerTag = AnswerServer::kClientsMax;
constexpr std::size_t kAcceptsEach = 4;
// With all places taken, whoever has his for so long leaves it to the next.
constexpr Duration kTurnOfOne = std::chrono::seconds(1);

}  // namespace

std::expected<AnswerServer, sys::SysError> AnswerServer::listen(sys::KernelFd socket,
                                                                std::size_t request_max) {
  sys::Kernel& kernel = socket.kernel();
  if (kernel.listen(socket.get(), kBacklog) != 0) {
    return std::unexpected(sys::last_error(sys::SysOp::kListen));
  }
  auto loop = sys::EventLoop::create(kernel);
  if (!loop) return std::unexpected(loop.error());
  if (auto watched = loop->add(socket.get(), EPOLLIN, kListenerTag); !watched) {
    return std::unexpected(watched.error());
  }
  return AnswerServer(std::move(*loop), std::move(socket), request_max);
}

Instant AnswerServer::next_wakeup() const {
  Instant next = resume_at_;
  for (const auto& client : clients_) {
    if (client != nullptr) next = std::min(next, client->until);
  }
  return next;
}

void AnswerServer::turn(Instant now, Answerer& answerer) {
  std::array<epoll_event, kClientsMax + 1> ready{};
  const std::size_t count = loop_.wait(ready, now, now).value_or(0);
  bool called = false;
  for (std::size_t i = 0; i < count; ++i) {
    const auto place = static_cast<std::size_t>(ready[i].data.u64);
    if (place == kListenerTag) {
      called = true;
    } else if (clients_[place] != nullptr && !advance(place, now, answerer)) {
      clients_[place].reset();
    }
  }
  for (std::size_t place = 0; place < kClientsMax; ++place) {
    auto& client = clients_[place];
    if (client == nullptr || now < client->until) continue;
    // What he has said by now is all of it.
    const bool asks = client->output.empty() && !client->input.empty();
    client->ended = true;
    if (!asks || !advance(place, now, answerer)) client.reset();
  }
  if (called) accept(now, answerer);
  if (now >= resume_at_) {
    resume_at_ = kNever;
    set_accepting(true);
  }
}

void AnswerServer::set_accepting(bool accepting) {
  // It was added.
  (void)loop_.modify(listener_.get(), accepting ? std::uint32_t{EPOLLIN} : 0U, kListenerTag);
}

// Whoever calls stays in the kernel's queue for a while.
void AnswerServer::pause(Instant now) {
  resume_at_ = now + host::kAcceptPause;
  set_accepting(false);
}

void AnswerServer::accept(Instant now, Answerer& answerer) {
  for (std::size_t i = 0; i < kAcceptsEach; ++i) {
    const std::size_t place = place_for_another(now);
    if (place == kClientsMax) return pause(now);
    auto accepted = host::accept_from(listener_);
    if (!accepted && sys::is_exhaustion(accepted.error().error)) pause(now);
    if (!accepted || !*accepted) return;
    auto client = std::make_unique<Client>();
    client->socket = std::move((*accepted)->socket);
    client->began = now;
    client->until = now + kPatience;
    if (!loop_.add(client->socket.get(), EPOLLIN, place)) continue;
    clients_[place] = std::move(client);
    // The request is there already, as a rule.
    if (!advance(place, now, answerer)) clients_[place].reset();
  }
}

// A free one, or that of whoever came first, if he has had his time.
std::size_t AnswerServer::place_for_another(Instant now) {
  std::size_t first = kClientsMax;
  for (std::size_t place = 0; place < kClientsMax; ++place) {
    if (clients_[place] == nullptr) return place;
    if (now < clients_[place]->began + kTurnOfOne) continue;
    if (first == kClientsMax || clients_[place]->began < clients_[first]->began) first = place;
  }
  if (first != kClientsMax) clients_[first].reset();
  return first;
}

bool AnswerServer::advance(std::size_t place, Instant now, Answerer& answerer) {
  Client& client = *clients_[place];
  if (client.output.empty()) {
    if (!client.ended && !read(client)) return false;
    auto answer = answerer.answer({client.input, client.ended}, now);
    if (!answer) return !client.ended;
    client.output = std::move(*answer);
    client.until = now + kPatience;
  }
  if (!write(client)) return false;
  (void)loop_.modify(client.socket.get(), EPOLLOUT, place);  // It was added.
  return true;
}

// False: he is gone.
bool AnswerServer::read(Client& client) const {
  while (client.input.size() < request_max_) {
    const std::size_t had = client.input.size();
    client.input.resize(request_max_);
    const ssize_t got = client.socket.kernel().recv(client.socket.get(), client.input.data() + had,
                                                    request_max_ - had, MSG_DONTWAIT);
    const int error = errno;
    client.input.resize(had + (got > 0 ? static_cast<std::size_t>(got) : 0));
    if (got == 0) client.ended = true;
    if (got < 0 && !sys::would_block(error)) return false;
    if (got <= 0) return true;
  }
  return true;
}

// False: he has all, or is gone.
bool AnswerServer::write(Client& client) {
  while (client.sent < client.output.size()) {
    const ssize_t sent = client.socket.kernel().send(
        client.socket.get(), client.output.data() + client.sent, client.output.size() - client.sent,
        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) return sys::would_block(errno);
    client.sent += static_cast<std::size_t>(sent);
  }
  return false;
}

}  // namespace sluice::serve
