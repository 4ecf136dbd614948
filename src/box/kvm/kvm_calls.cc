#include "box/kvm/kvm_calls.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

namespace sluice::box {
namespace {

class RealKvmCalls final : public KvmCalls {
 public:
  int open(const char* path) override { return ::open(path, O_RDWR | O_CLOEXEC); }
  int ioctl(int fd, unsigned long request, std::uintptr_t argument) override {
    return ::ioctl(fd, request, argument);
  }
  void* map(int fd, std::size_t size) override {
    void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return address == MAP_FAILED ? nullptr : address;
  }
  void unmap(void* address, std::size_t size) override { ::munmap(address, size); }
};

}  // namespace

KvmCalls& real_kvm_calls() {
  static RealKvmCalls calls;
  return calls;
}

}  // namespace sluice::box
