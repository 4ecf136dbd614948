// A kernel that answers as the test scripts it and remembers what it was asked. What is not
// scripted succeeds: sends take everything, reads would block, descriptors count up from 1000.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sys/kernel.h"
#include "sys/sockaddr.h"

namespace sluice::sys {

class FakeKernel final : public Kernel {
 public:
  struct Call {
    std::string name;
    int fd = -1;
    long first = 0;   // level, length, flags, how, request: whatever the call is about
    long second = 0;  // option name or value
  };

  // The next calls of `name` give these, in order.
  void script(const std::string& name, long result, int error = 0) {
    scripts_[name].push_back({result, error});
  }
  // What the next value-returning calls (getsockopt, ioctl_int) put out.
  void script_value(int value) { values_.push_back(value); }
  // What the next recvmsg or recvmmsg of a socket that serves many puts out.
  void script_datagram(const wire::Endpoint& from, const std::string& data) {
    datagrams_.push_back({to_sockaddr(from), data});
  }
  // What the next wait tells of these descriptors, in this order, as far as they are watched then.
  void script_events(const std::vector<std::pair<int, std::uint32_t>>& events) {
    events_.push_back(events);
  }
  // What the next read of any kind puts out.
  void script_data(const std::string& data) { data_.push_back(data); }

  [[nodiscard]] std::size_t count(const std::string& name) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(calls, [&](const Call& c) { return c.name == name; }));
  }
  [[nodiscard]] const Call* last(const std::string& name) const {
    for (auto it = calls.rbegin(); it != calls.rend(); ++it) {
      if (it->name == name) return &*it;
    }
    return nullptr;
  }

  std::vector<Call> calls;
  std::map<int, epoll_event> watched;  // By descriptor.
  std::vector<int> closed;
  std::vector<std::string> sent;  // What sendmsg and sendmmsg were given, a string a message.
  bool timeout_was_null = false;
  timespec timeout{};
  timespec time{};

  int socket(int domain, int type, int) override {
    return answer_int({"socket", -1, domain, type}, next_fd_++);
  }
  int connect(int fd, const sockaddr* a, socklen_t length) override {
    return answer_int({"connect", fd, static_cast<long>(length), a->sa_family}, 0);
  }
  int bind(int fd, const sockaddr* a, socklen_t length) override {
    return answer_int({"bind", fd, static_cast<long>(length), a->sa_family}, 0);
  }
  int listen(int fd, int backlog) override { return answer_int({"listen", fd, backlog, 0}, 0); }
  int accept4(int fd, sockaddr* address, socklen_t* length, int flags) override {
    sockaddr_in peer{};
    peer.sin_family = AF_INET;
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer.sin_port = htons(4321);
    std::memcpy(address, &peer, sizeof peer);
    *length = sizeof peer;
    return answer_int({"accept4", fd, flags, 0}, next_fd_++);
  }
  int getsockname(int fd, sockaddr*, socklen_t*) override {
    return answer_int({"getsockname", fd, 0, 0}, 0);
  }
  int getsockopt(int fd, int level, int name, void* value, socklen_t*) override {
    put_value(value);
    return answer_int({"getsockopt", fd, level, name}, 0);
  }
  int setsockopt(int fd, int level, int name, const void*, socklen_t) override {
    return answer_int({"setsockopt", fd, level, name}, 0);
  }
  ssize_t sendmsg(int fd, const msghdr* message, int flags) override {
    note_sent(*message);
    long total = 0;
    for (std::size_t i = 0; i < message->msg_iovlen; ++i) {
      total += static_cast<long>(message->msg_iov[i].iov_len);
    }
    return answer({"sendmsg", fd, total, flags}, total);
  }
  int sendmmsg(int fd, mmsghdr* messages, unsigned number, int flags) override {
    for (unsigned i = 0; i < number; ++i) note_sent(messages[i].msg_hdr);
    long total = 0;
    for (std::size_t i = 0; i < messages[0].msg_hdr.msg_iovlen; ++i) {
      total += static_cast<long>(messages[0].msg_hdr.msg_iov[i].iov_len);
    }
    return answer_int({"sendmmsg", fd, total, flags}, static_cast<long>(number));
  }
  ssize_t send(int fd, const void*, size_t length, int) override {
    return answer({"send", fd, static_cast<long>(length), 0}, static_cast<long>(length));
  }
  ssize_t recvmsg(int fd, msghdr* message, int flags) override {
    if (!datagrams_.empty() && (flags & MSG_ERRQUEUE) == 0) {
      const long size = take_datagram(*message);
      return answer({"recvmsg", fd, size, flags}, size);
    }
    if (!data_.empty() && message->msg_iovlen > 0) {
      const std::string data = data_.front();
      data_.pop_front();
      std::size_t size = 0;
      for (std::size_t i = 0; i < message->msg_iovlen && size < data.size(); ++i) {
        const std::size_t part = std::min(data.size() - size, message->msg_iov[i].iov_len);
        std::memcpy(message->msg_iov[i].iov_base, data.data() + size, part);
        size += part;
      }
      return answer({"recvmsg", fd, static_cast<long>(size), flags}, static_cast<long>(size));
    }
    return answer_or_block({"recvmsg", fd, 0, flags});
  }
  int recvmmsg(int fd, mmsghdr* messages, unsigned number, int flags) override {
    if (!datagrams_.empty()) {
      int taken = 0;
      for (; taken < static_cast<int>(number) && !datagrams_.empty(); ++taken) {
        messages[taken].msg_len = static_cast<unsigned>(take_datagram(messages[taken].msg_hdr));
      }
      return answer_int({"recvmmsg", fd, static_cast<long>(number), flags}, taken);
    }
    return static_cast<int>(answer_or_block({"recvmmsg", fd, static_cast<long>(number), flags}));
  }
  ssize_t recv(int fd, void* into, size_t length, int flags) override {
    const Call call{"recv", fd, static_cast<long>(length), flags};
    // What is to be discarded is there.
    if (into == nullptr) return answer(call, static_cast<long>(length));
    return answer_or_block(call);
  }
  int shutdown(int fd, int how) override { return answer_int({"shutdown", fd, how, 0}, 0); }
  int close(int fd) override {
    closed.push_back(fd);
    watched.erase(fd);
    return 0;
  }
  int ioctl_int(int fd, unsigned long request, int* value) override {
    put_value(value);
    return answer_int({"ioctl", fd, static_cast<long>(request), 0}, 0);
  }
  int epoll_create1(int flags) override {
    return answer_int({"epoll_create1", -1, flags, 0}, next_fd_++);
  }
  int epoll_ctl(int, int operation, int fd, epoll_event* event) override {
    const int result = answer_int({"epoll_ctl", fd, operation, 0}, 0);
    if (result == 0 && operation == EPOLL_CTL_DEL) watched.erase(fd);
    if (result == 0 && operation != EPOLL_CTL_DEL) watched[fd] = *event;
    return result;
  }
  int epoll_pwait2(int fd, epoll_event* into, int number, const timespec* wanted) override {
    timeout_was_null = wanted == nullptr;
    if (wanted != nullptr) timeout = *wanted;
    if (!events_.empty()) {
      calls.push_back({"epoll_pwait2", fd, number, 0});
      int told = 0;
      for (const auto& [of, events] : events_.front()) {
        const auto watch = watched.find(of);
        if (watch == watched.end() || told == number) continue;
        into[told].events = events;
        into[told++].data = watch->second.data;
      }
      events_.pop_front();
      return told;
    }
    return answer_int({"epoll_pwait2", fd, number, 0}, 0);
  }
  ssize_t read(int fd, void* into, size_t length) override {
    if (!data_.empty()) {
      const std::string data = data_.front();
      data_.pop_front();
      const std::size_t size = std::min(data.size(), length);
      std::memcpy(into, data.data(), size);
      return static_cast<ssize_t>(size);
    }
    return answer_or_block({"read", fd, static_cast<long>(length), 0});
  }
  ssize_t write(int fd, const void*, size_t length) override {
    return answer({"write", fd, static_cast<long>(length), 0}, static_cast<long>(length));
  }
  ssize_t readv(int fd, const iovec*, int number) override {
    return answer_or_block({"readv", fd, number, 0});
  }
  ssize_t writev(int fd, const iovec* parts, int number) override {
    long total = 0;
    for (int i = 0; i < number; ++i) total += static_cast<long>(parts[i].iov_len);
    return answer({"writev", fd, total, number}, total);
  }
  int pipe2(int ends[2], int flags) override {
    ends[0] = next_fd_++;
    ends[1] = next_fd_++;
    return answer_int({"pipe2", -1, flags, 0}, 0);
  }
  int fcntl_int(int fd, int command, int value) override {
    return answer_int({"fcntl", fd, command, value}, value);
  }
  ssize_t splice(int from, int to, size_t length, unsigned flags) override {
    return answer_or_block({"splice", from, to, static_cast<long>(length + 0 * flags)});
  }
  int clock_gettime(clockid_t, timespec* now) override {
    *now = time;
    return 0;
  }

 private:
  struct Scripted {
    long result;
    int error;
  };

  long answer(Call call, long otherwise) {
    auto& queue = scripts_[call.name];
    calls.push_back(std::move(call));
    if (queue.empty()) return otherwise;
    const Scripted next = queue.front();
    queue.pop_front();
    errno = next.error;
    return next.result;
  }
  int answer_int(Call call, long otherwise) {
    return static_cast<int>(answer(std::move(call), otherwise));
  }
  long answer_or_block(Call call) {
    errno = EAGAIN;
    return answer(std::move(call), -1);
  }
  void note_sent(const msghdr& message) {
    std::string& bytes = sent.emplace_back();
    for (std::size_t i = 0; i < message.msg_iovlen; ++i) {
      bytes.append(static_cast<const char*>(message.msg_iov[i].iov_base),
                   message.msg_iov[i].iov_len);
    }
  }
  long take_datagram(msghdr& message) {
    const Datagram datagram = std::move(datagrams_.front());
    datagrams_.pop_front();
    std::memcpy(message.msg_name, &datagram.from.storage, datagram.from.length);
    message.msg_namelen = datagram.from.length;
    message.msg_controllen = 0;
    const std::size_t size = std::min(datagram.data.size(), message.msg_iov[0].iov_len);
    std::memcpy(message.msg_iov[0].iov_base, datagram.data.data(), size);
    return static_cast<long>(size);
  }
  void put_value(void* out) {
    if (values_.empty()) return;
    std::memcpy(out, &values_.front(), sizeof(int));
    values_.pop_front();
  }

  int next_fd_ = 1000;
  std::map<std::string, std::deque<Scripted>> scripts_;
  std::deque<int> values_;
  std::deque<std::string> data_;
  std::deque<std::vector<std::pair<int, std::uint32_t>>> events_;
  struct Datagram {
    SocketAddress from;
    std::string data;
  };
  std::deque<Datagram> datagrams_;
};

}  // namespace sluice::sys
