// A worker's place among those that share its guest: what it keeps of its link's frames and what it
// passes on, what it tells the others, and whether it has to wait for one of them. Its worker's
// thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "driver/group/group.h"
#include "flow/core/flow_summary.h"
#include "flow/engine/engine.h"

namespace sluice::driver {

class GroupMember {
 public:
  // Worker `index` of the group, which is not owned.
  GroupMember(Group& group, std::uint32_t index);

  [[nodiscard]] bool is_first() const { return index_ == kFirst; }
  [[nodiscard]] Group& group() { return *group_; }
  [[nodiscard]] flow::FrameShare share() const { return {group_->owner(), index_}; }
  [[nodiscard]] policy::SharedLimits& limits() { return group_->limits(); }
  [[nodiscard]] Inbox& inbox() { return group_->inbox(index_); }

  // Those frames of a burst that are this worker's, valid as long as the burst is. The others are
  // copied for their owners, and pass_on_rest() is the next call.
  [[nodiscard]] std::span<const wire::FrameIn> keep_own(std::span<const wire::FrameIn> burst);
  // Hands the copies to their owners, or keeps them where one has no room: then it is_blocked().
  // Those that were not made `intact` are nobody's: their bytes were gone.
  void pass_on_rest(bool intact);
  // Nothing is to be read of the link.
  [[nodiscard]] bool is_blocked() const { return blocked_; }
  // Tries again. Whether nobody has to be waited for any more.
  bool try_again();
  // A frame that need not arrive. False where its owner has no room.
  [[nodiscard]] bool pass_on(ByteView frame);

  // For the first's report, at flush_reports(). Not for the first itself.
  void report(const flow::FlowSummary& summary) { ended_.push_back(summary); }
  // For the first's events; at once.
  void tell(Seen seen);
  // May leave it blocked: flows that only begin to be refused are reported, too.
  void flush_reports();
  // To another worker than this one. False, and it is untouched, where that has no room.
  [[nodiscard]] bool hand_over(std::uint32_t worker, ClientAccepted& client);

  // For the first, not for the first itself. False where that has no room.
  [[nodiscard]] bool ask(AskedFlow asked);
  void withdraw(const flow::FlowId& flow);
  // The answer, for whose flow it is.
  void rule(std::uint32_t worker, const FlowRuled& ruled);
  [[nodiscard]] std::uint32_t index() const { return index_; }

  // Tells the others where it is not what was told, or heard, before.
  void tell_guest(const flow::GuestSeen& guest);
  void heard_guest(const flow::GuestSeen& guest) { guest_ = guest; }
  void tell_host(const HostNews& host);
  // How many prefixes the others know.
  [[nodiscard]] std::size_t nat64_told() const { return nat64_told_; }

  // Takes what came in, and wakes those who waited for that.
  void take(Inbox::Mail& mail);

 private:
  static constexpr std::uint32_t kFirst = 0;
  // What a client counts for: it is a descriptor, of which 256 may wait.
  static constexpr std::size_t kClientBytes = 16 * 1024;

  void deliver();
  template <typename News>
  void tell_others(const News& news);

  Group* group_;
  std::uint32_t index_;
  bool blocked_ = false;
  std::vector<wire::FrameIn> own_;
  std::vector<Parcel> parcels_;  // For each worker.
  std::vector<flow::FlowSummary> ended_;
  flow::GuestSeen guest_{};
  std::size_t nat64_told_ = 0;
};

}  // namespace sluice::driver
