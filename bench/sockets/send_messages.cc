// Messages out of memory of ours, a turn for all sockets at a time.
#include <fcntl.h>
#include <linux/errqueue.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>

#include "sockets/socket_case.h"
#include "sockets/uring.h"

namespace sluice::bench {
namespace {

constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
// Datagrams that a socket is given in a turn.
constexpr std::size_t kBatch = 16;

// What is left of each socket's message; a turn tries all of them.
class Sender {
 public:
  Sender(const SocketCase& wanted, const Sockets& sockets, SocketResult& result)
      : wanted_(wanted),
        sockets_(sockets),
        result_(result),
        bytes_(wanted.size * sockets.size(), std::uint8_t{'x'}),
        left_(sockets.size()) {}

  [[nodiscard]] bool calls() {
    return each_turn([this] {
      for (std::size_t i = 0; i < sockets_.size(); ++i) {
        const iovec part = rest(i);
        msghdr message{};
        message.msg_iov = const_cast<iovec*>(&part);
        message.msg_iovlen = 1;
        ++result_.calls;
        const ssize_t done = ::sendmsg(sockets_[i].get(), &message, kFlags);
        sent(i, done, errno);
      }
    });
  }

  [[nodiscard]] bool datagram_calls() {
    iovec part{.iov_base = bytes_.data(), .iov_len = wanted_.size};
    std::array<mmsghdr, kBatch> messages{};
    for (mmsghdr& message : messages) {
      message.msg_hdr.msg_iov = &part;
      message.msg_hdr.msg_iovlen = 1;
    }
    return each_turn([&] {
      for (const UniqueFd& socket : sockets_) {
        ++result_.calls;
        const int count = ::sendmmsg(socket.get(), messages.data(), messages.size(), kFlags);
        for (int i = 0; i < count; ++i) sent_datagram(static_cast<int>(messages[0].msg_len));
      }
    });
  }

  [[nodiscard]] bool ring() {
    const bool datagrams = wanted_.what == What::kUdpOut;
    const std::size_t batch = datagrams ? kBatch : 1;
    const auto uring = Uring::open(256);
    std::vector<int> files;
    for (const UniqueFd& socket : sockets_) files.push_back(socket.get());
    if (uring == nullptr || !uring->register_files(files)) return false;
    const bool done = each_turn([&] {
      for (std::size_t each = 0; each < batch * sockets_.size(); ++each) {
        const std::size_t i = each / batch;
        const iovec part = rest(i);
        io_uring_sqe& entry = uring->next();
        entry.opcode = IORING_OP_SEND;
        entry.flags = IOSQE_FIXED_FILE;
        entry.fd = static_cast<int>(i);
        entry.addr = reinterpret_cast<std::uint64_t>(part.iov_base);
        entry.len = static_cast<std::uint32_t>(part.iov_len);
        entry.msg_flags = kFlags;
        entry.user_data = i;
      }
      uring->enter(static_cast<unsigned>(batch * sockets_.size()));
      uring->reap([&](const io_uring_cqe& completion) {
        if (datagrams) {
          sent_datagram(completion.res);
        } else {
          sent(completion.user_data, completion.res, -completion.res);
        }
      });
    });
    result_.calls += uring->calls();
    return done;
  }

  [[nodiscard]] bool zero_copy() {
    const int on = 1;
    for (const UniqueFd& socket : sockets_) {
      if (::setsockopt(socket.get(), SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on) != 0) return false;
    }
    return each_turn([this] {
      for (std::size_t i = 0; i < sockets_.size(); ++i) {
        const iovec part = rest(i);
        result_.calls += 2;
        const ssize_t done =
            ::send(sockets_[i].get(), part.iov_base, part.iov_len, kFlags | MSG_ZEROCOPY);
        sent(i, done, errno);
        take_notice(sockets_[i].get());
      }
    });
  }

  [[nodiscard]] bool pages() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) != 0) return false;
    const UniqueFd reading(ends[0]);
    const UniqueFd writing(ends[1]);
    (void)::fcntl(reading.get(), F_SETPIPE_SZ, 1 << 20);
    return each_turn([&] {
      for (std::size_t i = 0; i < sockets_.size(); ++i) {
        const iovec part = rest(i);
        ++result_.calls;
        const ssize_t mapped = ::vmsplice(writing.get(), &part, 1, SPLICE_F_NONBLOCK);
        std::size_t moved = 0;
        // The pipe is emptied each time: it is all sockets'.
        while (mapped > 0 && moved < static_cast<std::size_t>(mapped)) {
          ++result_.calls;
          const ssize_t now =
              ::splice(reading.get(), nullptr, sockets_[i].get(), nullptr,
                       static_cast<std::size_t>(mapped) - moved, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
          if (now > 0) moved += static_cast<std::size_t>(now);
          if (now <= 0) wait_writable(static_cast<int>(i));
        }
        sent(i, static_cast<std::int64_t>(moved), 0);
      }
    });
  }

 private:
  [[nodiscard]] iovec rest(std::size_t i) {
    if (left_[i] == 0) left_[i] = wanted_.size;
    return {.iov_base = bytes_.data() + i * wanted_.size + (wanted_.size - left_[i]),
            .iov_len = left_[i]};
  }
  void sent(std::size_t i, std::int64_t bytes, int error) {
    if (bytes < 0) {
      failed_ = failed_ || (error != EAGAIN && error != ENOBUFS);
      return;
    }
    left_[i] -= static_cast<std::size_t>(bytes);
    result_.bytes += static_cast<std::uint64_t>(bytes);
    if (left_[i] == 0) ++result_.count;
    moved_ = true;
  }
  void sent_datagram(std::int64_t bytes) {
    if (bytes <= 0) return;
    result_.bytes += static_cast<std::uint64_t>(bytes);
    ++result_.count;
    moved_ = true;
  }
  [[nodiscard]] bool each_turn(const std::function<void()>& turn) {
    while (result_.count < wanted_.count && !failed_) {
      moved_ = false;
      turn();
      if (!moved_) wait_writable(-1);
    }
    return !failed_;
  }
  // Any of them, or that one.
  void wait_writable(int only) {
    std::vector<pollfd> polls;
    for (std::size_t i = 0; i < sockets_.size(); ++i) {
      if (only >= 0 && i != static_cast<std::size_t>(only)) continue;
      polls.push_back({.fd = sockets_[i].get(), .events = POLLOUT, .revents = 0});
    }
    ++result_.calls;
    (void)::poll(polls.data(), polls.size(), -1);
  }
  static void take_notice(int fd) {
    alignas(cmsghdr) std::array<std::uint8_t, 128> control{};
    msghdr message{};
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    (void)::recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
  }

  const SocketCase& wanted_;
  const Sockets& sockets_;
  SocketResult& result_;
  std::vector<std::uint8_t> bytes_;
  std::vector<std::size_t> left_;
  bool moved_ = false;
  bool failed_ = false;
};

}  // namespace

bool send_messages(const SocketCase& wanted, const Sockets& sockets, SocketResult& result) {
  Sender sender(wanted, sockets, result);
  switch (wanted.way) {
    case Way::kCalls:
      return wanted.what == What::kUdpOut ? sender.datagram_calls() : sender.calls();
    case Way::kRing: return sender.ring();
    case Way::kZeroCopy: return sender.zero_copy();
    case Way::kPages: return wanted.what == What::kTcpOut && sender.pages();
    case Way::kConsuming: return false;
  }
  return false;
}

}  // namespace sluice::bench
