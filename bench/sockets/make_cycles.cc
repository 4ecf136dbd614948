// Connections that ask once, are answered once, and end: so many of them at a time as there are
// peers.
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "sockets/socket_case.h"
#include "sockets/socket_peer.h"
#include "sockets/uring.h"

namespace sluice::bench {
namespace {

constexpr std::size_t kRequest = 64;

// The engine's way.
class Caller {
 public:
  Caller(const SocketCase& wanted, std::uint16_t port, SocketResult& result)
      : wanted_(wanted), port_(port), result_(result), bytes_(std::max(wanted.size, kRequest)) {}

  [[nodiscard]] bool run() {
    const std::uint64_t until = result_.count + wanted_.count;
    for (std::uint64_t i = 0; i < wanted_.peers; ++i) begin();
    std::array<epoll_event, 64> events{};
    while (result_.count < until) {
      ++result_.calls;
      const int ready = ::epoll_wait(loop_.get(), events.data(), events.size(), -1);
      if (ready < 0 && errno != EINTR) return false;
      for (int i = 0; i < ready; ++i) on_readable(events[static_cast<std::size_t>(i)].data.u32);
    }
    return true;
  }

 private:
  struct Place {
    UniqueFd socket;
    bool asked = false;
  };

  void begin() {
    UniqueFd socket = open_socket(SOCK_STREAM);
    const auto place = static_cast<std::uint32_t>(socket.get());
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.u32 = place}};
    (void)connect_socket(socket.get(), loopback(port_, ++number_));
    (void)::epoll_ctl(loop_.get(), EPOLL_CTL_ADD, socket.get(), &event);
    result_.calls += 4;
    if (places_.size() <= place) places_.resize(place + 1);
    places_[place] = {.socket = std::move(socket), .asked = false};
    ask(place);
  }
  // Nearly always at once: of a target on this machine connect() is done when it returns.
  void ask(std::uint32_t place) {
    ++result_.calls;
    places_[place].asked = ::send(places_[place].socket.get(), bytes_.data(), kRequest,
                                  MSG_NOSIGNAL | MSG_DONTWAIT) == kRequest;
  }
  void on_readable(std::uint32_t place) {
    if (!places_[place].asked) ask(place);
    const int fd = places_[place].socket.get();
    while (true) {
      ++result_.calls;
      const ssize_t seen = ::recv(fd, bytes_.data(), bytes_.size(), MSG_PEEK | MSG_DONTWAIT);
      if (seen < 0) return;
      if (seen == 0) break;
      result_.bytes += static_cast<std::uint64_t>(seen);
      ++result_.calls;
      (void)::recv(fd, nullptr, static_cast<std::size_t>(seen), MSG_TRUNC | MSG_DONTWAIT);
    }
    (void)::shutdown(fd, SHUT_WR);
    places_[place].socket.reset();
    result_.calls += 2;
    ++result_.count;
    begin();
  }

  const SocketCase& wanted_;
  std::uint16_t port_;
  SocketResult& result_;
  std::uint64_t number_ = 0;
  UniqueFd loop_{::epoll_create1(EPOLL_CLOEXEC)};
  std::vector<Place> places_;  // By their descriptors.
  std::vector<std::uint8_t> bytes_;
};

// Each step that needs nobody's answer is linked to the one before.
class Ringer {
 public:
  Ringer(const SocketCase& wanted, std::uint16_t port, SocketResult& result)
      : wanted_(wanted), port_(port), result_(result), places_(wanted.peers) {}

  [[nodiscard]] bool run() {
    uring_ = Uring::open(256);
    if (uring_ == nullptr) return false;
    const std::uint64_t until = result_.count + wanted_.count;
    for (std::uint64_t i = 0; i < places_.size(); ++i) begin(i);
    while (result_.count < until && !failed_) {
      uring_->enter(1);
      uring_->reap([this](const io_uring_cqe& done) { on_done(done); });
    }
    result_.calls += uring_->calls();
    return !failed_;
  }

 private:
  static constexpr std::uint64_t kOther = ~std::uint64_t{0};  // Its result says nothing new.

  struct Place {
    UniqueFd socket;
    sockaddr_in to{};
    std::vector<std::uint8_t> room = std::vector<std::uint8_t>(std::size_t{64} * 1024);
  };

  [[nodiscard]] io_uring_sqe& entry(std::uint8_t what, std::uint64_t place) {
    io_uring_sqe& entry = uring_->next();
    entry.opcode = what;
    entry.fd = places_[place].socket.get();
    entry.user_data = kOther;
    return entry;
  }
  void receive(std::uint64_t place) {
    io_uring_sqe& look = entry(IORING_OP_RECV, place);
    look.addr = reinterpret_cast<std::uint64_t>(places_[place].room.data());
    look.len = static_cast<std::uint32_t>(places_[place].room.size());
    look.user_data = place;
  }
  void begin(std::uint64_t place) {
    places_[place].socket = open_socket(SOCK_STREAM);
    result_.calls += 2;
    io_uring_sqe& connect = entry(IORING_OP_CONNECT, place);
    sockaddr_in& to = places_[place].to;
    to = loopback(port_, ++number_);
    connect.addr = reinterpret_cast<std::uint64_t>(&to);
    connect.off = sizeof to;
    connect.flags = IOSQE_IO_LINK;
    io_uring_sqe& ask = entry(IORING_OP_SEND, place);
    ask.addr = reinterpret_cast<std::uint64_t>(places_[place].room.data());
    ask.len = kRequest;
    ask.msg_flags = MSG_NOSIGNAL;
    ask.flags = IOSQE_IO_LINK;
    receive(place);
  }
  void on_done(const io_uring_cqe& done) {
    if (done.user_data == kOther) return;
    const std::uint64_t place = done.user_data;
    failed_ = failed_ || done.res < 0;
    if (failed_) return;
    if (done.res > 0) {
      result_.bytes += static_cast<std::uint64_t>(done.res);
      receive(place);
      return;
    }
    io_uring_sqe& end = entry(IORING_OP_SHUTDOWN, place);
    end.len = SHUT_WR;
    end.flags = IOSQE_IO_LINK;
    (void)entry(IORING_OP_CLOSE, place);
    // It is the ring's to close.
    (void)places_[place].socket.release();
    ++result_.count;
    begin(place);
  }

  const SocketCase& wanted_;
  std::uint16_t port_;
  SocketResult& result_;
  std::vector<Place> places_;
  std::unique_ptr<Uring> uring_;
  std::uint64_t number_ = 0;
  bool failed_ = false;
};

}  // namespace

bool make_cycles(const SocketCase& wanted, std::uint16_t port, SocketResult& result) {
  if (wanted.way == Way::kCalls) return Caller(wanted, port, result).run();
  return wanted.way == Way::kRing && Ringer(wanted, port, result).run();
}

}  // namespace sluice::bench
