// What comes in at sockets. Of TCP the engine looks at it, and takes it away only when the guest
// has it: until then it stays with the kernel.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "sockets/socket_case.h"
#include "sockets/uring.h"

namespace sluice::bench {
namespace {

constexpr std::size_t kLookMax = std::size_t{64} * 1024;
constexpr unsigned kBuffers = 64;
constexpr std::size_t kDatagrams = 32;

// The engine's way: each edge of epoll, and then until there is no more.
class Caller {
 public:
  Caller(const SocketCase& wanted, const Sockets& sockets, SocketResult& result)
      : wanted_(wanted), result_(result), bytes_(kLookMax * kDatagrams) {
    for (std::size_t i = 0; i < sockets.size(); ++i) {
      epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.fd = sockets[i].get()}};
      (void)::epoll_ctl(loop_.get(), EPOLL_CTL_ADD, sockets[i].get(), &event);
    }
  }

  [[nodiscard]] bool run() {
    std::array<epoll_event, 64> events{};
    while (!enough()) {
      ++result_.calls;
      const int ready = ::epoll_wait(loop_.get(), events.data(), events.size(), -1);
      if (ready < 0 && errno != EINTR) return false;
      for (int i = 0; i < ready; ++i) {
        const int fd = events[static_cast<std::size_t>(i)].data.fd;
        if (wanted_.what == What::kUdpIn) {
          take_datagrams(fd);
        } else {
          look_and_discard(fd);
        }
      }
    }
    return true;
  }

 private:
  [[nodiscard]] bool enough() const { return result_.bytes >= wanted_.count * wanted_.size; }
  void look_and_discard(int fd) {
    iovec part{.iov_base = bytes_.data(), .iov_len = kLookMax};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    while (!enough()) {
      ++result_.calls;
      const ssize_t seen = ::recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT);
      if (seen <= 0) return;
      ++result_.calls;
      (void)::recv(fd, nullptr, static_cast<std::size_t>(seen), MSG_TRUNC | MSG_DONTWAIT);
      result_.bytes += static_cast<std::uint64_t>(seen);
    }
  }
  void take_datagrams(int fd) {
    std::array<mmsghdr, kDatagrams> messages{};
    std::array<iovec, kDatagrams> parts{};
    for (std::size_t i = 0; i < kDatagrams; ++i) {
      parts[i] = {.iov_base = bytes_.data() + i * kLookMax, .iov_len = kLookMax};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    while (!enough()) {
      ++result_.calls;
      const int count = ::recvmmsg(fd, messages.data(), kDatagrams, MSG_DONTWAIT, nullptr);
      if (count <= 0) return;
      for (int i = 0; i < count; ++i) {
        result_.bytes += messages[static_cast<std::size_t>(i)].msg_len;
      }
    }
  }

  const SocketCase& wanted_;
  SocketResult& result_;
  UniqueFd loop_{::epoll_create1(EPOLL_CLOEXEC)};
  std::vector<std::uint8_t> bytes_;
};

class Ringer {
 public:
  Ringer(const SocketCase& wanted, const Sockets& sockets, SocketResult& result)
      : wanted_(wanted), sockets_(sockets), result_(result) {}

  // A look waits by itself; what it saw is discarded together with the next.
  [[nodiscard]] bool looking() {
    if (!begin()) return false;
    std::vector<std::vector<std::uint8_t>> room(sockets_.size());
    for (std::size_t i = 0; i < room.size(); ++i) {
      room[i].resize(kLookMax);
      look(i, room[i]);
    }
    while (!enough()) {
      uring_->enter(1);
      uring_->reap([&](const io_uring_cqe& done) {
        if (done.user_data == kDiscarded) return;
        failed_ = failed_ || done.res <= 0;
        if (failed_) return;
        result_.bytes += static_cast<std::uint64_t>(done.res);
        discard(done.user_data, done.res);
        look(done.user_data, room[done.user_data]);
      });
      if (failed_) return false;
    }
    result_.calls += uring_->calls();
    return true;
  }

  // One entry for the life of a socket, as long as there are buffers.
  [[nodiscard]] bool consuming() {
    if (!begin() || !uring_->provide_buffers(kBuffers, kLookMax)) return false;
    for (std::size_t i = 0; i < sockets_.size(); ++i) receive_on(i);
    while (!enough()) {
      uring_->enter(1);
      uring_->reap([&](const io_uring_cqe& done) {
        if (done.res > 0) result_.bytes += static_cast<std::uint64_t>(done.res);
        if ((done.flags & IORING_CQE_F_BUFFER) != 0) {
          uring_->give_back(done.flags >> IORING_CQE_BUFFER_SHIFT);
        }
        failed_ = failed_ || (done.res <= 0 && done.res != -ENOBUFS);
        if ((done.flags & IORING_CQE_F_MORE) == 0) receive_on(done.user_data);
      });
      if (failed_) return false;
    }
    result_.calls += uring_->calls();
    return true;
  }

 private:
  static constexpr std::uint64_t kDiscarded = ~std::uint64_t{0};

  [[nodiscard]] bool enough() const { return result_.bytes >= wanted_.count * wanted_.size; }
  [[nodiscard]] bool begin() {
    std::vector<int> files;
    for (const UniqueFd& socket : sockets_) files.push_back(socket.get());
    uring_ = Uring::open(64);
    return uring_ != nullptr && uring_->register_files(files);
  }
  [[nodiscard]] io_uring_sqe& receive(std::uint64_t socket) {
    io_uring_sqe& entry = uring_->next();
    entry.opcode = IORING_OP_RECV;
    entry.flags = IOSQE_FIXED_FILE;
    entry.fd = static_cast<int>(socket);
    entry.user_data = socket;
    return entry;
  }
  void look(std::uint64_t socket, std::vector<std::uint8_t>& room) {
    io_uring_sqe& entry = receive(socket);
    entry.addr = reinterpret_cast<std::uint64_t>(room.data());
    entry.len = static_cast<std::uint32_t>(room.size());
    entry.msg_flags = MSG_PEEK;
  }
  void discard(std::uint64_t socket, std::int32_t bytes) {
    io_uring_sqe& entry = receive(socket);
    entry.flags |= IOSQE_IO_LINK;  // The next look begins behind it.
    entry.user_data = kDiscarded;
    entry.addr = reinterpret_cast<std::uint64_t>(nowhere_.data());
    entry.len = static_cast<std::uint32_t>(bytes);
    entry.msg_flags = MSG_TRUNC | MSG_DONTWAIT;
  }
  void receive_on(std::uint64_t socket) {
    io_uring_sqe& entry = receive(socket);
    entry.flags |= IOSQE_BUFFER_SELECT;
    entry.ioprio = IORING_RECV_MULTISHOT;
    entry.buf_group = 0;
  }

  const SocketCase& wanted_;
  const Sockets& sockets_;
  SocketResult& result_;
  std::unique_ptr<Uring> uring_;
  std::vector<std::uint8_t> nowhere_ = std::vector<std::uint8_t>(kLookMax);
  bool failed_ = false;
};

}  // namespace

bool receive_messages(const SocketCase& wanted, const Sockets& sockets, SocketResult& result) {
  const std::uint64_t before = result.bytes;
  bool done = false;
  switch (wanted.way) {
    case Way::kCalls: done = Caller(wanted, sockets, result).run(); break;
    case Way::kRing:
      done = wanted.what == What::kTcpIn && Ringer(wanted, sockets, result).looking();
      break;
    case Way::kConsuming: done = Ringer(wanted, sockets, result).consuming(); break;
    case Way::kZeroCopy:
    case Way::kPages: break;
  }
  result.count += (result.bytes - before) / wanted.size;
  return done;
}

}  // namespace sluice::bench
