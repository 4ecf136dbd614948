// What the workers of one guest share, each of which runs in a thread of its own: who has what, an
// inbox for each, the guest's limits, which hold over all of them, and the names that it asked for.
// Safe from any thread;
// outlives the workers.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <vector>

#include "base/siphash.h"
#include "dns/names/name_book.h"
#include "driver/group/inbox.h"
#include "flow/core/frame_owner.h"
#include "flow/core/refusal_book.h"
#include "policy/egress/meter_book.h"
#include "policy/limits/guest_limits.h"
#include "sys/kernel.h"
#include "sys/sys_error.h"

namespace sluice::driver {

// A lock for the moments in which a flow begins or ends.
class LockedLimits final : public policy::SharedLimits {
 public:
  explicit LockedLimits(const policy::GuestLimits& limits) : limits_(limits) {}

  [[nodiscard]] policy::Verdict admit(policy::FlowSide side, Instant now) override {
    const std::lock_guard guard(lock_);
    return limits_.admit(side, now);
  }
  [[nodiscard]] bool has_room(policy::FlowSide side) const override {
    const std::lock_guard guard(lock_);
    return limits_.has_room(side);
  }
  void released(policy::FlowSide side) override {
    const std::lock_guard guard(lock_);
    limits_.released(side);
  }

 private:
  mutable std::mutex lock_;
  policy::GuestLimits limits_;
};

class Group {
 public:
  // As many inboxes as `owner` has workers. The kernel is not owned. `names` is a secret.
  [[nodiscard]] static std::expected<std::unique_ptr<Group>, sys::SysError> create(
      sys::Kernel& kernel, const flow::FrameOwner& owner, const policy::GuestLimits& limits,
      const SipKey& names);
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  [[nodiscard]] const flow::FrameOwner& owner() const { return owner_; }
  [[nodiscard]] std::uint32_t size() const { return owner_.workers(); }
  [[nodiscard]] Inbox& inbox(std::uint32_t worker) { return *inboxes_[worker]; }
  [[nodiscard]] policy::SharedLimits& limits() { return limits_; }
  [[nodiscard]] dns::NameBook& names() { return names_; }
  // bind() is for the first's thread.
  [[nodiscard]] policy::MeterBook& meters() { return meters_; }
  [[nodiscard]] flow::RefusalBook& refusals() { return refusals_; }

 private:
  Group(const flow::FrameOwner& owner, const policy::GuestLimits& limits, const SipKey& names)
      : owner_(owner), limits_(limits), names_(names) {}

  flow::FrameOwner owner_;
  LockedLimits limits_;
  dns::NameBookOf<std::mutex> names_;
  policy::MeterBook meters_;
  flow::RefusalBookOf<std::mutex> refusals_;
  std::vector<std::unique_ptr<Inbox>> inboxes_;
};

}  // namespace sluice::driver
