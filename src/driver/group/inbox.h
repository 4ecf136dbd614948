// What the other workers of a guest hand to one of them. Any of them posts; only its owner takes.
// A lock is held for moments, in which nothing is copied, and one wake is enough for all that comes
// until the owner looks.
//
// What waits is bounded: who posts frames, or causes what is posted, is told when there is no room,
// goes without reading more of its link, and is woken by its own inbox once there is some. Owners
// take all at once and never wait for others, so that nobody waits for ever.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "base/unique_fd.h"
#include "driver/group/post.h"
#include "flow/engine/engine.h"
#include "sys/kernel.h"

namespace sluice::driver {

class Inbox {
 public:
  // No room from here on. The last parcel may go beyond: by a burst of a link.
  static constexpr std::size_t kBytesMax = 4 * 1024 * 1024;

  // The kernel is not owned.
  explicit Inbox(sys::Kernel& kernel);
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  // Whether there was a descriptor for it.
  [[nodiscard]] bool valid() const { return event_.valid(); }
  // Readable when there is something to take(), or when one that was full has room.
  [[nodiscard]] int fd() const { return event_.get(); }

  // --- From any thread ---

  // Takes the parcel and leaves an empty one. False, and it is untouched, where there is no room:
  // the sender's inbox is woken when there is.
  [[nodiscard]] bool post(Parcel& parcel, std::uint32_t sender);
  // Whatever there is room for: these were asked about before, or are few. `bytes` is what it
  // counts for.
  void post(Post&& post, std::size_t bytes);
  // Whether there is room; if not, the sender is woken when there is.
  [[nodiscard]] bool has_room_for(std::uint32_t sender);
  [[nodiscard]] bool has_room() const;
  // The newest news is enough.
  void tell(const flow::GuestSeen& guest);
  void tell(const HostNews& host);
  void wake();

  // --- Its owner's ---

  struct Mail {
    std::vector<Post> posts;
    std::optional<flow::GuestSeen> guest;
    std::optional<HostNews> host;
    std::vector<std::uint32_t> waiting;  // Who had no room; to be woken.
  };
  // All that there is. `mail` is given back by give_back().
  void take(Mail& mail);
  // Its parcels' memory is used again.
  void give_back(Mail& mail);

 private:
  // Empty parcels that are kept, with their memory.
  static constexpr std::size_t kSparesMax = 16;

  // With the lock held. Whether the owner has to be woken.
  [[nodiscard]] bool note_news();
  void wait_for_room(std::uint32_t sender);

  sys::Kernel& kernel_;
  UniqueFd event_;
  mutable std::mutex lock_;
  Mail mail_;
  std::size_t bytes_ = 0;  // Of the posts.
  bool signalled_ = false;
  std::vector<Parcel> spares_;
};

}  // namespace sluice::driver
