// Keeps a program from bindings of KVM, as if this kernel's KVM did not have them, for the ladder
// of bench/vmlab:
//
//   LD_PRELOAD=…/libkvm_without.so KVM_WITHOUT=registers,irqfd,ioeventfd sluice box …
//
// KVM_CHECK_EXTENSION answers 0 for those named; `registers` is memory that a guest may only read,
// in which `sluice box` shows the registers of its devices.
#include <asm/unistd.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace {

constexpr std::array<std::pair<std::string_view, std::uintptr_t>, 3> kBindings{{
    {"registers", KVM_CAP_READONLY_MEM},
    {"irqfd", KVM_CAP_IRQFD},
    {"ioeventfd", KVM_CAP_IOEVENTFD},
}};

bool is_withheld(std::uintptr_t extension) {
  const char* const without = std::getenv("KVM_WITHOUT");
  if (without == nullptr) return false;
  for (const auto& [name, number] : kBindings) {
    if (number != extension) continue;
    // Whole words: "ioeventfd" has no other's name in it.
    return std::string_view(without).find(name) != std::string_view::npos;
  }
  return false;
}

}  // namespace

extern "C" [[gnu::visibility("default")]] int ioctl(int fd, unsigned long request, ...) noexcept {
  std::va_list list;
  va_start(list, request);
  const auto argument = va_arg(list, std::uintptr_t);
  va_end(list);
  if (request == KVM_CHECK_EXTENSION && is_withheld(argument)) return 0;
  return static_cast<int>(::syscall(__NR_ioctl, fd, request, argument));
}
