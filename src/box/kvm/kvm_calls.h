// The calls that KVM is used by, as a seam: tests script what the kernel answers. Each keeps its
// contract, -1 and errno on failure. Safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::box {

class KvmCalls {
 public:
  KvmCalls() = default;
  KvmCalls(const KvmCalls&) = delete;
  KvmCalls& operator=(const KvmCalls&) = delete;
  virtual ~KvmCalls() = default;

  // For reading and writing, closed in programs that are executed.
  virtual int open(const char* path) = 0;
  // The argument is a pointer or a number, as the request has it.
  virtual int ioctl(int fd, unsigned long request, std::uintptr_t argument) = 0;
  // Shared, from the beginning of `fd`; null on failure.
  virtual void* map(int fd, std::size_t size) = 0;
  virtual void unmap(void* address, std::size_t size) = 0;
};

// Of the kernel that runs this process.
[[nodiscard]] KvmCalls& real_kvm_calls();

}  // namespace sluice::box
