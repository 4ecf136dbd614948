// One worker's part of a virtual machine's network in its memory: what its queues transmit comes
// in, and its frames go out by whichever queue their flows are at. Kicks, messages and connections
// come and go, so that an epoll of its own is what it shows. One thread's; the back-end is shared.
#pragma once

#include "link/link.h"
#include "link/vhost_user/net_back_end.h"
#include "virtio/net/frame_burst.h"

namespace sluice::link {

class QueueLink final : public Link {
 public:
  // The back-end is not owned.
  QueueLink(NetBackEnd& back_end, std::size_t worker) : back_end_(back_end), worker_(worker) {}
  ~QueueLink() override;

  [[nodiscard]] wire::LinkFeatures features() const override { return features_; }
  [[nodiscard]] std::span<const int> descriptors() const override;
  [[nodiscard]] Burst read_burst(Depth depth) override;
  [[nodiscard]] bool is_intact() const override { return back_end_.queues_.is_intact(worker_); }
  [[nodiscard]] std::size_t write(const wire::FrameBatch& batch) override;
  [[nodiscard]] bool has_room() const override;
  [[nodiscard]] Instant room_at() const override { return back_end_.queues_.room_at(); }
  [[nodiscard]] bool offers_room() const override { return true; }
  [[nodiscard]] std::span<const MutableBytes> room_for(const RoomWanted& wanted) override;
  void leave_room(bool is_gone) override { back_end_.queues_.leave_room(worker_, is_gone); }
  void flush() override;

 private:
  NetBackEnd& back_end_;
  std::size_t worker_;
  wire::LinkFeatures features_;
  virtio::FrameBurst burst_;
};

}  // namespace sluice::link
