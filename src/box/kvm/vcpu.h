// One processor of a virtual machine: set up by the thread that builds the machine, run by a
// thread of its own, interrupted from any.
#pragma once

#include <linux/kvm.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "box/kvm/exit_counts.h"
#include "box/kvm/kvm_calls.h"
#include "box/kvm/machine_end.h"
#include "box/kvm/vcpu_state.h"
#include "sys/setup_error.h"

namespace sluice::box {

// What a guest reaches outside of its processors and memory. Called by the threads of vCPUs,
// several at once.
class ExitHandler {
 public:
  // Of 1 to 8 bytes, little-endian.
  virtual void mmio_read(std::uint64_t address, MutableBytes into) = 0;
  virtual void mmio_write(std::uint64_t address, ByteView bytes) = 0;
  // Of 1, 2 or 4 bytes.
  virtual void port_read(std::uint16_t port, MutableBytes into) = 0;
  virtual void port_write(std::uint16_t port, ByteView bytes) = 0;

 protected:
  ~ExitHandler() = default;
};

// What a vCPU is made from.
struct VcpuHost {
  int device = -1;  // /dev/kvm.
  bool tsc_deadline = false;
};

class Vcpu {
 public:
  // `fd` is what KVM_CREATE_VCPU gave. CPUID and local APIC are set; where a local APIC is KVM's,
  // all but the first processor wait for the first one's word.
  [[nodiscard]] static std::expected<Vcpu, sys::SetupError> create(KvmCalls& calls, UniqueFd fd,
                                                                   VcpuHost host, CpuPlace place);
  Vcpu(Vcpu&&) noexcept = default;
  Vcpu& operator=(Vcpu&&) = delete;

  // The first processor, before it runs.
  [[nodiscard]] std::expected<void, sys::SetupError> enter_at(const EntryState& entry);

  // Runs until something comes up, and answers that. The machine's end, if that is what it was;
  // KVM itself goes on when this is called again.
  [[nodiscard]] std::optional<MachineEnd> run(ExitHandler& handler);
  // run() returns at once from now on, if its thread is not within KVM; there, it needs a signal.
  void interrupt();

  [[nodiscard]] const ExitCounts& counts() const { return *counts_; }

 private:
  struct Unmap {
    KvmCalls* calls = nullptr;
    std::size_t size = 0;
    void operator()(kvm_run* run) const { calls->unmap(run, size); }
  };
  using RunArea = std::unique_ptr<kvm_run, Unmap>;

  Vcpu(KvmCalls& calls, UniqueFd fd, RunArea run)
      : calls_(&calls),
        fd_(std::move(fd)),
        run_(std::move(run)),
        counts_(std::make_unique<ExitCounts>()) {}
  [[nodiscard]] std::expected<void, sys::SetupError> call(const char* step, unsigned long request,
                                                          std::uintptr_t argument);
  [[nodiscard]] std::expected<void, sys::SetupError> set_cpuid(VcpuHost host, CpuPlace place);
  [[nodiscard]] std::expected<void, sys::SetupError> set_local_apic();
  void set_memory_types();
  [[nodiscard]] std::optional<MachineEnd> dispatch(ExitHandler& handler);
  void answer_mmio(ExitHandler& handler);
  void answer_port(ExitHandler& handler);
  [[nodiscard]] MachineEnd failed(std::string words);
  [[nodiscard]] std::string internal_error() const;

  KvmCalls* calls_;  // Not owned.
  UniqueFd fd_;
  RunArea run_;
  std::unique_ptr<ExitCounts> counts_;
};

}  // namespace sluice::box
