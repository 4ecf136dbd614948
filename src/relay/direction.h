// One direction of a pair: from one socket's receive queue to the other's send queue. It keeps at
// most one buffer or one pipe, and that only while bytes are in it that the target did not take.
//
// How it reads. Interest is edge-triggered, so a socket must be read until it is empty, or be
// remembered as readable. On a TCP socket a recv that got less than it asked for has emptied it:
// whatever comes later makes a new edge, so there is no second recv to learn EAGAIN. If the FIN had
// come before that recv (EPOLLRDHUP), nothing can come later, and the end is known without reading
// it. Neither holds on other stream sockets (a read of AF_UNIX stops behind a descriptor that was
// passed) nor at TCP's urgent mark; there, and after an error, only 0, EAGAIN or an error counts.
//
// How it writes. At once, not after EPOLLOUT. A send that took less than it was given has met a
// full socket: the kernel makes an edge when there is room (SOCK_NOSPACE), which is waited for.
//
// How it gathers. A fast stream that nobody answers gets a low-water mark (SO_RCVLOWAT), so that we
// are woken for a pipe's worth instead of each segment; see kGatherAfter.
//
// How it splices. Into an empty pipe only, and the pipe is emptied before more is read. So EAGAIN
// of the reading splice always means an empty socket, never a pipe without slots.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>

#include "base/bytes.h"
#include "base/time.h"
#include "policy/limits/meter.h"
#include "policy/limits/token_bucket.h"
#include "relay/options.h"
#include "relay/pools.h"
#include "sys/kernel.h"

namespace sluice::relay {

// What a direction may carry. Null: as much as it likes. Not owned; outlive the pair.
struct Throttle {
  policy::TokenBucket* rule = nullptr;
  policy::TokenBucket* client = nullptr;
  // Once it is used up nothing more passes: whoever gave it ends the pair.
  policy::Lane* lane = nullptr;

  [[nodiscard]] bool any() const { return rule != nullptr || client != nullptr || lane != nullptr; }
};

// What is known of a socket's reads.
enum class Transport : std::uint8_t {
  kTcp,
  kOther,  // AF_UNIX, MPTCP: a short read does not prove the socket empty.
};

class Direction {
 public:
  // Why pump() came back.
  enum class Step : std::uint8_t {
    kGoOn,   // Inside pump() only.
    kEmpty,  // The source has nothing; an event will tell.
    kFull,   // Bytes are held that the target does not take; an event will tell.
    kShare,  // This turn's share is used up.
    kLater,  // Nothing may pass before resume_at(), or an event, whichever is first.
    kEnded,  // The source has ended and all its bytes were sent.
    kSourceFailed,
    kTargetFailed,
  };
  struct Result {
    Step step = Step::kGoOn;
    int error = 0;  // errno of a failure
  };
  // The two descriptors.
  struct Ends {
    int source = -1;
    int target = -1;
  };

  void start(Mode mode, Transport source, const Throttle& throttle);
  // From here on, in the place of what there was.
  void set_lane(policy::Lane* lane);
  // Bytes that go before those of the source. False: no memory.
  [[nodiscard]] bool set_head(ByteView head, Pools& pools);

  void note_source(std::uint32_t events);
  void note_target(std::uint32_t events);
  void assume_source_readable() { source_ready_ = true; }

  [[nodiscard]] Result pump(const Ends& ends, Pools& pools, Instant now);

  // The other direction has moved something, so somebody may be waiting for what this one brings.
  void answered(const Ends& ends, Pools& pools);

  // Gives back what is held; the bytes in it are lost.
  void release(Pools& pools);

  [[nodiscard]] std::uint64_t moved() const { return moved_; }
  [[nodiscard]] std::size_t held() const { return end_ - begin_; }
  [[nodiscard]] bool source_ended() const { return source_ended_; }  // Its FIN was seen.
  [[nodiscard]] bool ended() const { return ended_; }                // And all its bytes were sent.
  [[nodiscard]] Instant resume_at() const { return resume_at_; }     // After kLater.
  // It has something to take in, and its lane is used up.
  [[nodiscard]] bool used_up() const { return resume_at_ == kNever; }

 private:
  enum class Carriage : std::uint8_t { kCopy, kSplice };
  struct Turn;

  [[nodiscard]] Step run(Turn& turn);
  [[nodiscard]] Step join_head(Turn& turn);
  [[nodiscard]] Step receive(Turn& turn, std::size_t allowed);
  [[nodiscard]] Step send(Turn& turn);
  [[nodiscard]] Step splice_in(Turn& turn, std::size_t allowed);
  [[nodiscard]] Step splice_out(Turn& turn);
  [[nodiscard]] Step received_nothing(Turn& turn, std::ptrdiff_t result);
  [[nodiscard]] Step spliced_nothing(Turn& turn, std::ptrdiff_t result);
  [[nodiscard]] Step not_sent(Turn& turn);
  [[nodiscard]] Step no_memory(const Turn& turn);
  void took_in(Turn& turn, std::size_t bytes);
  [[nodiscard]] Step took_out(std::size_t bytes);
  [[nodiscard]] bool splices(const Turn& turn);
  [[nodiscard]] std::size_t share() const;
  [[nodiscard]] std::size_t allowance(Turn& turn);
  [[nodiscard]] std::size_t throttled_allowance(Turn& turn);
  // Takes in up to so much; what was claimed for it is settled.
  [[nodiscard]] Step take_some(Turn& turn, std::size_t allowed);
  void settle(Turn& turn);
  void adapt(const Turn& turn);
  void start_gathering(const Turn& turn);
  void go_on_gathering(const Turn& turn);
  void stop_gathering(const Ends& ends, Pools& pools);
  [[nodiscard]] static bool set_low_water(const Ends& ends, Pools& pools, std::size_t bytes);
  void drop_buffer(Pools& pools);
  void drop_pipe(Pools& pools);

  Throttle throttle_;
  std::uint64_t moved_ = 0;
  std::uint64_t gather_after_ = 0;  // Of moved_.
  Instant resume_at_{};             // When to look at a throttle, for memory, or at what gathered.
  Buffer buffer_;
  std::unique_ptr<Pipe> pipe_;
  std::uint32_t begin_ = 0;  // What is held: [begin_, end_) of the buffer, or of the pipe's bytes.
  std::uint32_t end_ = 0;
  Mode mode_ = Mode::kAuto;
  Carriage carriage_ = Carriage::kCopy;
  std::uint8_t streak_ = 0;        // Turns in a row that spoke for the other carriage.
  bool gathering_ : 1 = false;     // The source has a low-water mark above one byte.
  bool source_ready_ : 1 = false;  // The source may have something.
  bool target_ready_ : 1 = true;   // The target may have room; false only while bytes are held.
  bool fin_noted_ : 1 = false;     // EPOLLRDHUP came, and no error.
  bool read_to_end_ : 1 = false;   // A short read proves nothing.
  bool splice_refused_ : 1 = false;
  bool head_waits_ : 1 = false;  // To go out together with the first bytes of the source.
  bool source_ended_ : 1 = false;
  bool ended_ : 1 = false;
};

}  // namespace sluice::relay
