#include "driver/group/group_member.h"

#include <utility>

namespace sluice::driver {

GroupMember::GroupMember(Group& group, std::uint32_t index)
    : group_(&group), index_(index), parcels_(group.size()) {}

std::span<const wire::FrameIn> GroupMember::keep_own(std::span<const wire::FrameIn> burst) {
  own_.clear();
  for (const wire::FrameIn& frame : burst) {
    const std::uint32_t owner = group_->owner().of_frame(frame.bytes);
    if (owner == index_) {
      own_.push_back(frame);
    } else {
      parcels_[owner].add(frame);
    }
  }
  return own_;
}

void GroupMember::pass_on_rest(bool intact) {
  if (!intact) [[unlikely]] {
    for (Parcel& parcel : parcels_) parcel.clear();
  }
  deliver();
}

void GroupMember::deliver() {
  for (std::uint32_t worker = 0; worker < parcels_.size(); ++worker) {
    if (!parcels_[worker].empty() && !group_->inbox(worker).post(parcels_[worker], index_)) {
      blocked_ = true;
    }
  }
}

bool GroupMember::try_again() {
  blocked_ = !is_first() && !group_->inbox(kFirst).has_room_for(index_);
  deliver();
  return !blocked_;
}

bool GroupMember::pass_on(ByteView frame) {
  Parcel parcel;
  parcel.add({frame, {}});
  Inbox& inbox = group_->inbox(group_->owner().of_frame(frame));
  if (!inbox.has_room()) return false;
  const std::size_t bytes = parcel.bytes();
  inbox.post(std::move(parcel), bytes);
  return true;
}

void GroupMember::flush_reports() {
  if (ended_.empty()) return;
  const std::size_t bytes = ended_.size() * sizeof(flow::FlowSummary);
  Inbox& first = group_->inbox(kFirst);
  first.post(FlowsEnded{std::exchange(ended_, {})}, bytes);
  if (!first.has_room_for(index_)) blocked_ = true;
}

void GroupMember::tell(Seen seen) {
  const std::size_t bytes = seen.refused.size() * sizeof(flow::RefusedQuery) +
                            seen.answered.size() * sizeof(flow::SeenQuery) +
                            seen.claims.size() * sizeof(flow::SeenClaim);
  Inbox& first = group_->inbox(kFirst);
  first.post(std::move(seen), bytes);
  if (!first.has_room_for(index_)) blocked_ = true;
}

bool GroupMember::hand_over(std::uint32_t worker, ClientAccepted& client) {
  Inbox& inbox = group_->inbox(worker);
  if (!inbox.has_room()) return false;
  inbox.post(std::move(client), kClientBytes);
  return true;
}

bool GroupMember::ask(AskedFlow asked) {
  Inbox& first = group_->inbox(kFirst);
  if (!first.has_room()) return false;
  asked.worker = index_;
  first.post(FlowAsks{std::move(asked)}, sizeof(FlowAsks));
  return true;
}

void GroupMember::withdraw(const flow::FlowId& flow) {
  group_->inbox(kFirst).post(AskWithdrawn{index_, flow}, sizeof(AskWithdrawn));
}

void GroupMember::rule(std::uint32_t worker, const FlowRuled& ruled) {
  group_->inbox(worker).post(FlowRuled(ruled), sizeof(FlowRuled));
}

template <typename News>
void GroupMember::tell_others(const News& news) {
  for (std::uint32_t worker = 0; worker < group_->size(); ++worker) {
    if (worker != index_) group_->inbox(worker).tell(news);
  }
}

void GroupMember::tell_guest(const flow::GuestSeen& guest) {
  if (guest == guest_) return;
  guest_ = guest;
  tell_others(guest);
}

void GroupMember::tell_host(const HostNews& host) {
  if (!host.nat64.empty()) nat64_told_ = host.nat64.size();
  tell_others(host);
}

void GroupMember::take(Inbox::Mail& mail) {
  inbox().take(mail);
  for (const std::uint32_t worker : mail.waiting) group_->inbox(worker).wake();
}

}  // namespace sluice::driver
