// A guest without an operating system that plays a driver of virtio-net: it sends frames, and takes
// the time until their echo and its interrupt are there.
//
// All of its work is done in ring 3, with IOPL 3 and with the device's registers and rings mapped
// for it: a KVM without hardware virtualisation (kvm-pvm) runs ring 3 natively and interprets ring
// 0, at 0.75 µs an instruction. In ring 0 are the set-up and an interrupt handler of a handful of
// instructions, the same for the device and for the bare bell.
//
// It is entered as a kernel is (Linux's boot.rst, "64-bit Boot Protocol"), with paging on and the
// first 4 GiB mapped where they are, in six pages from CR3 on.
#include <cstdint>

#include "box/bell_mailbox.h"

namespace {

using sluice::bench::BellError;
using sluice::bench::BellMailbox;
using sluice::bench::kBellBuffers;
using sluice::bench::kBellBurstMax;
using sluice::bench::kBellFrameBytes;
using sluice::bench::kBellKernelStack;
using sluice::bench::kBellMailbox;
using sluice::bench::kBellRings;
using sluice::bench::kBellRingSize;

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

BellMailbox& mailbox() { return *reinterpret_cast<BellMailbox*>(kBellMailbox); }
volatile u32& word(u64 address) { return *reinterpret_cast<volatile u32*>(address); }

u64 ticks() {
  u32 low = 0;
  u32 high = 0;
  asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
  return u64{high} << 32 | low;
}
void out(u16 port, u8 value) { asm volatile("outb %0, %1" ::"a"(value), "Nd"(port)); }
void pause() { asm volatile("pause" ::: "memory"); }
void barrier() { asm volatile("mfence" ::: "memory"); }

[[noreturn]] void end() {
  out(static_cast<u16>(mailbox().end_port), static_cast<u8>(mailbox().end_value));
  for (;;) pause();
}
[[noreturn]] void give_up(BellError error) {
  mailbox().error = static_cast<u64>(error);
  end();
}

// Registers of virtio-mmio (virtio 1.2, 4.2.2).
enum Register : u32 {
  kDeviceFeaturesSelect = 0x14,
  kDriverFeatures = 0x20,
  kDriverFeaturesSelect = 0x24,
  kQueueSelect = 0x30,
  kQueueSize = 0x38,
  kQueueReady = 0x44,
  kQueueNotify = 0x50,
  kStatus = 0x70,
  kQueueDescriptors = 0x80,
  kQueueDriver = 0x90,
  kQueueDevice = 0xa0,
};
volatile u32& device_register(u32 offset) { return word(mailbox().registers + offset); }

// A split ring (virtio 1.2, 2.7), its parts a page each.
struct Descriptor {
  u64 address;
  u32 length;
  u16 flags;
  u16 next;
};
struct Available {
  volatile u16 flags;
  volatile u16 index;
  volatile u16 ring[kBellRingSize];
};
struct UsedElement {
  volatile u32 id;
  volatile u32 length;
};
struct Used {
  volatile u16 flags;
  volatile u16 index;
  UsedElement ring[kBellRingSize];
};
constexpr u16 kNoInterrupt = 1;
constexpr u16 kNoNotify = 1;
constexpr u16 kDeviceWrites = 2;
constexpr u32 kBufferBytes = 2048;
constexpr u32 kHeaderBytes = 12;  // virtio_net_hdr, with num_buffers.

class Queue {
 public:
  explicit Queue(u32 number) : number_(number) {}

  void set_up(u16 flags) {
    for (u32 i = 0; i < kBellRingSize; ++i) {
      descriptors()[i] = {.address = buffer(i),
                          .length = flags == 0 ? kHeaderBytes + kBellFrameBytes : kBufferBytes,
                          .flags = flags,
                          .next = 0};
    }
    device_register(kQueueSelect) = number_;
    device_register(kQueueSize) = kBellRingSize;
    device_register(kQueueDescriptors) = static_cast<u32>(part(0));
    device_register(kQueueDescriptors + 4) = 0;
    device_register(kQueueDriver) = static_cast<u32>(part(1));
    device_register(kQueueDriver + 4) = 0;
    device_register(kQueueDevice) = static_cast<u32>(part(2));
    device_register(kQueueDevice + 4) = 0;
    device_register(kQueueReady) = 1;
  }

  void no_interrupts() { available().flags = kNoInterrupt; }
  void offer(u16 descriptor) {
    available().ring[next_ % kBellRingSize] = descriptor;
    ++next_;
  }
  void publish() {
    barrier();
    available().index = next_;
  }
  // Rings unless the device said that it looks anyway.
  void notify() {
    barrier();
    if ((used().flags & kNoNotify) != 0) return;
    mailbox().doorbells[number_] = mailbox().doorbells[number_] + 1;
    device_register(kQueueNotify) = number_;
  }
  [[nodiscard]] u16 used_index() const { return used().index; }
  // Of the one that came next.
  u16 take() { return static_cast<u16>(used().ring[taken_++ % kBellRingSize].id); }
  [[nodiscard]] u16 taken() const { return taken_; }

 private:
  [[nodiscard]] u64 part(u32 which) const {
    return kBellRings + number_ * 0x1'0000 + which * 0x1000;
  }
  [[nodiscard]] u64 buffer(u32 which) const {
    return kBellBuffers + (number_ * kBellRingSize + which) * u64{kBufferBytes};
  }
  [[nodiscard]] Descriptor* descriptors() const { return reinterpret_cast<Descriptor*>(part(0)); }
  [[nodiscard]] Available& available() const { return *reinterpret_cast<Available*>(part(1)); }
  [[nodiscard]] Used& used() const { return *reinterpret_cast<Used*>(part(2)); }

  u32 number_;
  u16 next_ = 0;
  u16 taken_ = 0;
};

constexpr u32 kReceive = 0;
constexpr u32 kTransmit = 1;

// Virtio 1.2, 3.1.1, in a hurry: MRG_RXBUF and VERSION_1 are accepted.
void begin_device() {
  device_register(kStatus) = 0;
  device_register(kStatus) = 1;
  device_register(kStatus) = 3;
  device_register(kDriverFeaturesSelect) = 0;
  device_register(kDriverFeatures) = 1U << 15;
  device_register(kDriverFeaturesSelect) = 1;
  device_register(kDriverFeatures) = 1;
  device_register(kStatus) = 11;
  if ((device_register(kStatus) & 8) == 0) give_up(BellError::kDevice);
}

void wait_for_go() {
  mailbox().ready = 1;
  while (mailbox().go == 0) pause();
}

// Until an interrupt came, and as much is in the ring as was sent.
void await(u64 interrupts_before, const Queue* receive, u64 begin) {
  const auto wanted =
      receive == nullptr ? u16{0} : static_cast<u16>(receive->taken() + mailbox().burst);
  const u64 patience = mailbox().patience;
  while (mailbox().interrupts == interrupts_before ||
         (receive != nullptr && receive->used_index() != wanted)) {
    pause();
    if (ticks() - begin > patience) give_up(BellError::kSilence);
  }
}

void run_device() {
  Queue receive(kReceive);
  Queue transmit(kTransmit);
  begin_device();
  receive.set_up(kDeviceWrites);
  transmit.set_up(0);
  transmit.no_interrupts();
  for (u16 i = 0; i < kBellRingSize; ++i) receive.offer(i);
  receive.publish();
  device_register(kStatus) = 15;
  if ((device_register(kStatus) & 64) != 0) give_up(BellError::kDevice);
  receive.notify();
  wait_for_go();
  const u64 burst = mailbox().burst;
  u16 next = 0;
  for (u64 round = 0; round < mailbox().rounds; ++round) {
    const u64 interrupts = mailbox().interrupts;
    const u64 begin = ticks();
    for (u64 i = 0; i < burst; ++i) transmit.offer(next++ % kBellRingSize);
    transmit.publish();
    transmit.notify();
    await(interrupts, &receive, begin);
    mailbox().ticks[round] = ticks() - begin;
    for (u64 i = 0; i < burst; ++i) receive.offer(receive.take());
    receive.publish();
    receive.notify();
    mailbox().done = round + 1;
  }
}

void run_bell() {
  wait_for_go();
  for (u64 round = 0; round < mailbox().rounds; ++round) {
    const u64 interrupts = mailbox().interrupts;
    const u64 begin = ticks();
    device_register(kQueueNotify) = 0;
    await(interrupts, nullptr, begin);
    mailbox().ticks[round] = ticks() - begin;
    mailbox().done = round + 1;
  }
}

// From here on: ring 0.

// Intel's manual, volume 3, 3.4.5, 6.14 and 7.7. Boot's selectors stay: 0x10 code, 0x18 data.
struct [[gnu::packed]] TablePointer {
  u16 limit;
  u64 base;
};
struct [[gnu::packed]] TaskState {
  u32 reserved;
  u64 stack;  // Of ring 0.
  u8 rest[92];
};
struct Gate {
  u16 low;
  u16 selector;
  u16 type;
  u16 middle;
  u32 high;
  u32 zero;
};
constexpr u32 kExceptions = 32;
constexpr u32 kVector = 0x40;
constexpr u32 kLine = 5;  // Of slot 0.

TaskState task_state;
u64 descriptors[8];
Gate gates[kVector + 1];

void set_gate(u32 vector, void (*handler)()) {
  const auto address = reinterpret_cast<u64>(handler);
  gates[vector] = {.low = static_cast<u16>(address),
                   .selector = 0x10,
                   .type = 0x8e00,
                   .middle = static_cast<u16>(address >> 16),
                   .high = static_cast<u32>(address >> 32),
                   .zero = 0};
}

void set_descriptors() {
  task_state.stack = kBellKernelStack;
  const auto task = reinterpret_cast<u64>(&task_state);
  descriptors[2] = 0x00af'9b00'0000'ffff;  // 0x10: ring 0, code,
  descriptors[3] = 0x00cf'9300'0000'ffff;  // and data.
  descriptors[4] = 0x00cf'f300'0000'ffff;  // 0x23: ring 3, data,
  descriptors[5] = 0x00af'fb00'0000'ffff;  // 0x2b: and code.
  descriptors[6] = (task & 0xff'ffff) << 16 | (task >> 24 & 0xff) << 56 | u64{0x89} << 40 |
                   (sizeof(TaskState) - 1);
  descriptors[7] = task >> 32;
  const TablePointer pointer{.limit = sizeof descriptors - 1,
                             .base = reinterpret_cast<u64>(descriptors)};
  asm volatile("lgdt %0" ::"m"(pointer));
  asm volatile("ltr %w0" ::"r"(0x30));
}

// The program's memory, and the page of 2 MiB with the registers, become ring 3's as well.
void map_for_ring_3() {
  constexpr u64 kUser = 4;
  u64 tables = 0;
  asm volatile("mov %%cr3, %0" : "=r"(tables));
  const auto table = [&](u64 page) {
    return reinterpret_cast<volatile u64*>(tables + page * 4096);
  };
  table(0)[0] = table(0)[0] | kUser;
  const u64 gib = mailbox().registers >> 30;
  table(1)[0] = table(1)[0] | kUser;
  table(1)[gib] = table(1)[gib] | kUser;
  for (u64 at = 1; at < 8; ++at) table(2)[at] = table(2)[at] | kUser;
  const u64 at = mailbox().registers >> 21 & 511;
  table(2 + gib)[at] = table(2 + gib)[at] | kUser;
  asm volatile("mov %0, %%cr3" ::"r"(tables) : "memory");
}

void set_interrupts() {
  constexpr u64 kLocal = 0xfee0'0000;
  constexpr u64 kIo = 0xfec0'0000;
  out(0x21, 0xff);  // Both of the old controllers keep quiet.
  out(0xa1, 0xff);
  word(kLocal + 0x350) = 0x1'0000;  // LINT0.
  word(kLocal + 0xf0) = 0x1ff;      // On.
  word(kLocal + 0x80) = 0;
  word(kIo) = 0x10 + 2 * kLine;  // Edge, active high, to the first processor.
  word(kIo + 0x10) = kVector;
  word(kIo) = 0x11 + 2 * kLine;
  word(kIo + 0x10) = 0;
}

}  // namespace

extern "C" {
void bell_start();
void bell_fault();
void bell_handler();
void bell_acknowledging_handler();
[[noreturn]] void bell_enter_ring_3();

// In assembler, as each instruction counts. The offsets are BellMailbox's.
static_assert(offsetof(BellMailbox, registers) == 0 && offsetof(BellMailbox, end_port) == 40 &&
              offsetof(BellMailbox, interrupts) == 80 && offsetof(BellMailbox, error) == 88 &&
              kBellMailbox == 0x40'0000 && sluice::bench::kBellUserStack == 0x5f'0000);
asm(R"(
  .text
  .globl bell_start, bell_fault, bell_handler, bell_acknowledging_handler, bell_enter_ring_3
bell_start:
  call bell_main
bell_handler:
  push %rax
  incq 0x400050
  mov $0xfee000b0, %eax
  movl $0, (%rax)
  pop %rax
  iretq
bell_acknowledging_handler:
  push %rax
  push %rdx
  mov 0x400000, %rdx
  mov 0x60(%rdx), %eax
  mov %eax, 0x64(%rdx)
  incq 0x400050
  mov $0xfee000b0, %eax
  movl $0, (%rax)
  pop %rdx
  pop %rax
  iretq
bell_fault:
  movq $1, 0x400058
  mov (%rsp), %rax
  mov %rax, 0x400060
  mov 8(%rsp), %rax
  mov %rax, 0x400068
  mov 0x400028, %rdx
  mov 0x400030, %rax
  out %al, %dx
1:
  jmp 1b
bell_enter_ring_3:
  pushq $0x23
  pushq $0x5f0000
  pushq $0x3202
  pushq $0x2b
  pushq $bell_user
  iretq
)");

[[noreturn, gnu::used]] void bell_user() {
  if (mailbox().has_queues != 0) {
    run_device();
  } else {
    run_bell();
  }
  end();
}

[[noreturn, gnu::used]] void bell_main() {
  for (u32 vector = 0; vector < kExceptions; ++vector) set_gate(vector, bell_fault);
  set_gate(kVector, mailbox().acknowledge != 0 ? bell_acknowledging_handler : bell_handler);
  const TablePointer pointer{.limit = sizeof gates - 1, .base = reinterpret_cast<u64>(gates)};
  asm volatile("lidt %0" ::"m"(pointer));
  set_descriptors();
  map_for_ring_3();
  set_interrupts();
  bell_enter_ring_3();
}
}
