#include "box/kvm/vcpu.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "unit/box/fake_kvm.h"

namespace sluice::box {
namespace {

// Answers reads with a number, and keeps what was written.
class Recorder final : public ExitHandler {
 public:
  struct Access {
    std::uint64_t where;
    std::vector<std::uint8_t> bytes;
  };

  void mmio_read(std::uint64_t, MutableBytes into) override { into[0] = 0x5a; }
  void mmio_write(std::uint64_t address, ByteView bytes) override {
    written.push_back({address, {bytes.begin(), bytes.end()}});
  }
  void port_read(std::uint16_t, MutableBytes into) override { into[0] = next++; }
  void port_write(std::uint16_t port, ByteView bytes) override {
    written.push_back({port, {bytes.begin(), bytes.end()}});
  }

  std::vector<Access> written;
  std::uint8_t next = 1;
};

class AVcpu : public ::testing::Test {
 protected:
  Vcpu make() {
    const int fd = kvm_.ioctl(-1, KVM_CREATE_VCPU, 0);
    auto made = Vcpu::create(kvm_, UniqueFd(fd), {.device = -1}, {.index = 0, .count = 1});
    EXPECT_TRUE(made);
    return std::move(*made);
  }
  std::optional<MachineEnd> run(FakeKvm::Run script) {
    kvm_.runs[0] = std::move(script);
    Vcpu vcpu = make();
    return vcpu.run(recorder_);
  }

  FakeKvm kvm_;
  Recorder recorder_;
};

TEST_F(AVcpu, AnswersDevices) {
  Vcpu vcpu = make();
  kvm_.runs[0] = [](kvm_run& run) {
    run.exit_reason = KVM_EXIT_MMIO;
    run.mmio.phys_addr = 0xd000'0070;
    run.mmio.len = 4;
    run.mmio.is_write = 1;
    run.mmio.data[0] = 0xf;
    return 0;
  };
  EXPECT_FALSE(vcpu.run(recorder_));
  ASSERT_EQ(recorder_.written.size(), 1U);
  EXPECT_EQ(recorder_.written[0].where, 0xd000'0070U);
  EXPECT_EQ(recorder_.written[0].bytes, (std::vector<std::uint8_t>{0xf, 0, 0, 0}));

  kvm_run* seen = nullptr;
  kvm_.runs[0] = [&seen](kvm_run& run) {
    run.mmio.is_write = 0;
    seen = &run;
    return 0;
  };
  EXPECT_FALSE(vcpu.run(recorder_));
  EXPECT_EQ(seen->mmio.data[0], 0x5a);
  EXPECT_EQ(vcpu.counts().of(ExitKind::kMmio), 2U);
}

TEST_F(AVcpu, AnswersEachPortOfAString) {
  Vcpu vcpu = make();
  const std::uint8_t* data = nullptr;
  kvm_.runs[0] = [&data](kvm_run& run) {
    run.exit_reason = KVM_EXIT_IO;
    run.io.direction = KVM_EXIT_IO_IN;
    run.io.size = 2;
    run.io.count = 3;
    run.io.port = 0x3f8;
    run.io.data_offset = FakeKvm::kPortData;
    data = reinterpret_cast<const std::uint8_t*>(&run) + FakeKvm::kPortData;
    return 0;
  };
  EXPECT_FALSE(vcpu.run(recorder_));
  EXPECT_EQ(data[0], 1);
  EXPECT_EQ(data[2], 2);
  EXPECT_EQ(data[4], 3);
  EXPECT_EQ(vcpu.counts().of(ExitKind::kPort), 1U);
}

TEST_F(AVcpu, ComesBackWhenItIsInterrupted) {
  kvm_.runs[0] = FakeKvm::wait;
  Vcpu vcpu = make();
  vcpu.interrupt();
  EXPECT_FALSE(vcpu.run(recorder_));
  EXPECT_EQ(vcpu.counts().of(ExitKind::kInterrupted), 1U);
}

// A processor that waits for the first one's word, and is signalled.
TEST_F(AVcpu, GoesOnAfterAnInterruptedWait) {
  EXPECT_FALSE(run([](kvm_run&) { return EAGAIN; }));
}

TEST_F(AVcpu, ATripleFaultEndsTheMachine) {
  const auto end = run(FakeKvm::exit(KVM_EXIT_SHUTDOWN));
  ASSERT_TRUE(end);
  EXPECT_EQ(end->kind, EndKind::kTripleFault);
}

TEST_F(AVcpu, WhatKvmCannotDoIsToldInWords) {
  kvm_.registers.rip = 0xffff'ffff'8100'0000;
  const auto end = run([](kvm_run& run) {
    run.exit_reason = KVM_EXIT_INTERNAL_ERROR;
    run.internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
    run.internal.ndata = 4;
    const std::uint8_t bytes[] = {3, 0x0f, 0x01, 0xf8};
    std::memcpy(&run.internal.data[1], bytes, sizeof bytes);
    return 0;
  });
  ASSERT_TRUE(end);
  EXPECT_EQ(end->kind, EndKind::kFailed);
  EXPECT_EQ(end->words,
            "KVM cannot carry out an instruction of the guest 0f 01 f8 (at 0xffffffff81000000)");
}

TEST_F(AVcpu, AnErrorOfKvmEndsTheMachine) {
  const auto end = run([](kvm_run&) { return EFAULT; });
  ASSERT_TRUE(end);
  EXPECT_EQ(end->words, "KVM cannot run the guest: Bad address (at 0x0)");
}

TEST_F(AVcpu, AnExitThatNobodyKnowsEndsTheMachine) {
  const auto end = run(FakeKvm::exit(250));
  ASSERT_TRUE(end);
  EXPECT_EQ(end->words, "KVM's exit 250 (at 0x0)");
}

TEST_F(AVcpu, NeedsNoLocalApicOfKvm) {
  kvm_.has_local_apic = false;
  kvm_.errors[KVM_SET_LAPIC] = EINVAL;
  (void)make();
}

TEST_F(AVcpu, SaysWhatFailed) {
  kvm_.errors[kKvmSetCpuid2] = EINVAL;
  const int fd = kvm_.ioctl(-1, KVM_CREATE_VCPU, 0);
  const auto made = Vcpu::create(kvm_, UniqueFd(fd), {.device = -1}, {.index = 0, .count = 1});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().describe(), "a processor: KVM_SET_CPUID2: Invalid argument");
}

}  // namespace
}  // namespace sluice::box
