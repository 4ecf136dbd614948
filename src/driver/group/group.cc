#include "driver/group/group.h"

namespace sluice::driver {

std::expected<std::unique_ptr<Group>, sys::SysError> Group::create(
    sys::Kernel& kernel, const flow::FrameOwner& owner, const policy::GuestLimits& limits,
    const SipKey& names) {
  std::unique_ptr<Group> group(new Group(owner, limits, names));
  for (std::uint32_t i = 0; i < owner.workers(); ++i) {
    auto inbox = std::make_unique<Inbox>(kernel);
    if (!inbox->valid()) return std::unexpected(sys::last_error(sys::SysOp::kOpen));
    group->inboxes_.push_back(std::move(inbox));
  }
  return group;
}

}  // namespace sluice::driver
