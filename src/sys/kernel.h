// The syscall seam: every system call of the data path goes through a Kernel, so that tests can
// script short writes, EAGAIN, EMFILE and whatever else a real kernel shows once a year.
//
// Each method is one system call and keeps its contract: -1 and errno on failure. One Kernel may
// be shared by all sockets of a worker; the real one is safe from any thread.
#pragma once

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include <utility>

namespace sluice::sys {

class Kernel {
 public:
  Kernel() = default;
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;
  virtual ~Kernel() = default;

  virtual int socket(int domain, int type, int protocol) = 0;
  virtual int connect(int fd, const sockaddr* address, socklen_t length) = 0;
  virtual int bind(int fd, const sockaddr* address, socklen_t length) = 0;
  virtual int listen(int fd, int backlog) = 0;
  virtual int accept4(int fd, sockaddr* address, socklen_t* length, int flags) = 0;
  virtual int getsockname(int fd, sockaddr* address, socklen_t* length) = 0;
  virtual int getsockopt(int fd, int level, int name, void* value, socklen_t* length) = 0;
  virtual int setsockopt(int fd, int level, int name, const void* value, socklen_t length) = 0;
  virtual ssize_t sendmsg(int fd, const msghdr* message, int flags) = 0;
  virtual int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) = 0;
  virtual ssize_t send(int fd, const void* buffer, size_t length, int flags) = 0;
  virtual ssize_t recvmsg(int fd, msghdr* message, int flags) = 0;
  virtual int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags) = 0;
  virtual ssize_t recv(int fd, void* buffer, size_t length, int flags) = 0;
  virtual int shutdown(int fd, int how) = 0;
  virtual int close(int fd) = 0;
  // For requests that answer with an int: SIOCOUTQ, SIOCINQ.
  virtual int ioctl_int(int fd, unsigned long request, int* value) = 0;

  virtual int epoll_create1(int flags) = 0;
  virtual int epoll_ctl(int epoll_fd, int operation, int fd, epoll_event* event) = 0;
  // A null timeout waits for ever. Before Linux 5.11 the timeout is rounded up to milliseconds.
  virtual int epoll_pwait2(int epoll_fd, epoll_event* events, int count,
                           const timespec* timeout) = 0;

  virtual ssize_t read(int fd, void* buffer, size_t length) = 0;
  virtual ssize_t write(int fd, const void* buffer, size_t length) = 0;
  virtual ssize_t readv(int fd, const iovec* parts, int count) = 0;
  virtual ssize_t writev(int fd, const iovec* parts, int count) = 0;

  virtual int pipe2(int ends[2], int flags) = 0;
  // For commands that take and give an int: F_SETPIPE_SZ, F_GETPIPE_SZ, F_SETFL.
  virtual int fcntl_int(int fd, int command, int value) = 0;
  // Between a pipe and a socket, at their current positions.
  virtual ssize_t splice(int from, int to, size_t length, unsigned flags) = 0;

  virtual int clock_gettime(clockid_t clock, timespec* now) = 0;
};

// The kernel that runs this process.
[[nodiscard]] Kernel& real_kernel();

// Sole owner of a descriptor that a Kernel made; closes it through that Kernel. Move-only.
class KernelFd {
 public:
  KernelFd() = default;
  KernelFd(Kernel& kernel, int fd) : kernel_(&kernel), fd_(fd) {}
  KernelFd(KernelFd&& other) noexcept : kernel_(other.kernel_), fd_(std::exchange(other.fd_, -1)) {}
  KernelFd& operator=(KernelFd&& other) noexcept {
    if (this != &other) {
      reset();
      kernel_ = other.kernel_;
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  KernelFd(const KernelFd&) = delete;
  KernelFd& operator=(const KernelFd&) = delete;
  ~KernelFd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  [[nodiscard]] Kernel& kernel() const { return *kernel_; }

  void reset() {
    if (fd_ >= 0) kernel_->close(fd_);
    fd_ = -1;
  }

 private:
  Kernel* kernel_ = nullptr;  // Not owned; outlives every descriptor it made.
  int fd_ = -1;
};

}  // namespace sluice::sys
