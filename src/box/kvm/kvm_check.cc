#include "box/kvm/kvm_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "box/boot/little_endian.h"
#include "box/boot/long_mode.h"
#include "box/boot/low_memory.h"
#include "box/kvm/guest_ram.h"
#include "box/kvm/vcpu.h"
#include "box/kvm/vm.h"
#include "sys/steady_clock.h"

namespace sluice::box {
namespace {

constexpr std::uint64_t kCode = 0x1'0000;
constexpr std::uint16_t kDonePort = 0xf4;

// Round after round of: the loop, and a word to us.
//   again: mov $loops, %ecx
//   next:  imul $3, %eax, %eax;  add $7, %eax;  dec %ecx;  jnz next
//          out %al, $0xf4
//          jmp again
constexpr std::array<std::uint8_t, 19> kLoop = {
    0xb9, 0,         0,    0, 0,  // mov, with the count to come
    0x6b, 0xc0,      0x03,        // imul
    0x83, 0xc0,      0x07,        // add
    0xff, 0xc9,                   // dec
    0x75, 0xf6,                   // jnz, 10 bytes back
    0xe6, kDonePort,              // out
    0xeb, 0xed,                   // jmp, 19 bytes back
};

void write_loop(MutableBytes low) {
  const MutableBytes code = low.subspan(kCode, kLoop.size());
  std::ranges::copy(kLoop, code.begin());
  store_le<std::uint32_t>(code, 1, kCheckedLoops);
}

// Waits for the loop's word.
class Listener final : public ExitHandler {
 public:
  void mmio_read(std::uint64_t, MutableBytes into) override { std::ranges::fill(into, 0xff); }
  void mmio_write(std::uint64_t, ByteView) override {}
  void port_read(std::uint16_t, MutableBytes into) override { std::ranges::fill(into, 0xff); }
  void port_write(std::uint16_t port, ByteView) override { done_ |= port == kDonePort; }

  [[nodiscard]] bool take() { return std::exchange(done_, false); }

 private:
  bool done_ = false;
};

// Once around. The error is the end of the machine.
std::optional<MachineEnd> run_once(Vcpu& vcpu, Listener& listener) {
  while (!listener.take()) {
    if (auto end = vcpu.run(listener)) return end;
  }
  return std::nullopt;
}

sys::SetupError interprets(std::chrono::nanoseconds taken) {
  const auto each = taken.count() / (std::int64_t{kCheckedLoops} * kInstructionsPerLoop);
  return {fmt::format("/dev/kvm: this machine's KVM interprets the kernel of a guest instead of "
                      "running it ({} ns an instruction), so that Linux would take minutes to boot",
                      each),
          0,
          "use a machine with VT-x or AMD-V, or one whose host has nested virtualisation switched "
          "on; `sluice run` needs no KVM"};
}

}  // namespace

std::expected<void, sys::SetupError> check_kvm(KvmCalls& calls,
                                               const std::function<Instant()>& now) {
  auto ram = GuestRam::create(kMemoryMin);
  if (!ram) return std::unexpected(ram.error());
  auto vm = Vm::create(calls, Vm::Interrupts::kNone);
  if (!vm) return std::unexpected(vm.error());
  if (auto done = vm->use_memory(ram->memory()); !done) return done;
  auto vcpu = vm->make_vcpu({.index = 0, .count = 1});
  if (!vcpu) return std::unexpected(vcpu.error());
  write_page_tables(ram->low());
  write_descriptor_table(ram->low());
  write_loop(ram->low());
  const auto entered = vcpu->enter_at({.instruction = kCode,
                                       .stack = kEntryStack,
                                       .boot_params = 0,
                                       .page_tables = kPageTables,
                                       .descriptors = kDescriptorTable,
                                       .descriptor_bytes = kDescriptorTableBytes});
  if (!entered) return entered;

  Listener listener;
  std::chrono::nanoseconds best = std::chrono::nanoseconds::max();
  for (int i = 0; i < kCheckRuns; ++i) {
    const Instant begin = now();
    if (const auto end = run_once(*vcpu, listener)) {
      return std::unexpected(
          sys::SetupError{"/dev/kvm: a trial of it failed: " + end->words, 0, ""});
    }
    best = std::min<std::chrono::nanoseconds>(best, now() - begin);
    if (best <= kCheckMax) return {};
  }
  return std::unexpected(interprets(best));
}

std::expected<void, sys::SetupError> check_kvm() {
  return check_kvm(real_kvm_calls(), [] { return sys::steady_now(sys::real_kernel()); });
}

}  // namespace sluice::box
