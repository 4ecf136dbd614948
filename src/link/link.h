// What carries Ethernet frames between a guest and us. A driver watches its descriptors, reads
// bursts and writes batches; it knows nothing else of it, so a link may wrap another (pcap_tee.h).
// Calls are virtual, and so are made once for a burst or a batch, never once for a frame.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/time.h"
#include "wire/ip/flow_tuple.h"
#include "wire/link/frame_batch.h"

namespace sluice::link {

class Link {
 public:
  struct Burst {
    std::span<const wire::FrameIn> frames;  // Valid until the next read.
    bool drained = true;                    // The link has no more, as far as is known.
    bool gone = false;                      // Nothing will come any more: the other side took it.
  };
  enum class Depth : std::uint8_t {
    kAsExpected,  // One frame is enough where frames came one by one.
    kToTheEnd,    // Whatever came before: there is somebody who must not overtake it.
  };

  Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  virtual ~Link() = default;

  // What frames may leave to the other side. Another only behind a read_burst(), for what is
  // written from there on.
  [[nodiscard]] virtual wire::LinkFeatures features() const = 0;
  // Readable when read_burst() has something, each of them. The same for the life of the link: one
  // whose descriptors come and go has an epoll of its own and shows that.
  [[nodiscard]] virtual std::span<const int> descriptors() const = 0;
  // Reads what is there, up to a burst that leaves others their turn.
  [[nodiscard]] virtual Burst read_burst(Depth depth) = 0;
  // Whether what the frames of the newest burst borrow of the other side's memory is still there.
  // Where it is not, whoever read of it meanwhile, the kernel too, may have got zeros in its place.
  [[nodiscard]] virtual bool is_intact() const { return true; }
  // Nothing of the batch is needed when it returns. How many frames could not be written.
  [[nodiscard]] virtual std::size_t write(const wire::FrameBatch& batch) = 0;
  // Whether it takes a batch whole, of what one peek gives at least. A link that says no shows
  // by its descriptors when that may have changed; what must go out is written all the same.
  [[nodiscard]] virtual bool has_room() const { return true; }
  // When one that said no is to be asked again whatever its descriptors show: it may have waited
  // long enough by then.
  [[nodiscard]] virtual Instant room_at() const { return kNever; }
  // Frames of one flow to come, each of which is whole but the last.
  struct RoomWanted {
    wire::FlowTuple flow;     // As they have it.
    std::size_t headers = 0;  // Of each of them, from the Ethernet header on.
    std::size_t payload = 0;  // Of a whole one. Not zero.
    std::size_t bytes = 0;    // Payload of all of them, not zero. Of whole ones: others may follow.
  };
  static constexpr std::size_t kRoomPiecesMax = 512;
  // Whether there is ever room in the other side's own memory; the same for the life of the link.
  [[nodiscard]] virtual bool offers_room() const { return false; }
  // Pieces of the other side's memory to put the payload of such frames in, in their order, which
  // then need not be copied there: for fewer frames where there is less room, and none where there
  // is none. The next call is a write() of these frames or leave_room(). The write takes as many
  // frames of its batch, from the first on, for those whose payload is there already; what a
  // FrameOut's payload shows of them is not looked at. Whoever is at the other side may change it
  // meanwhile, so it is not to be read.
  [[nodiscard]] virtual std::span<const MutableBytes> room_for(const RoomWanted& /*wanted*/) {
    return {};
  }
  // Nothing is written there, or, where `is_gone`, nothing could be: the kernel found no memory.
  virtual void leave_room(bool /*is_gone*/) {}
  // At the end of each turn, and in the end: for what gathers.
  virtual void flush() {}
};

}  // namespace sluice::link
