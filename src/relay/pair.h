// Two connected stream sockets joined: what one receives, the other sends.
//
// Sans-loop: the owner waits with epoll (kPairEvents on each side, set once and never changed),
// tells what came with note(), and calls pump() until it says that there is nothing to do. Between
// calls an idle pair holds no buffer and no pipe.
//
// Promises: every byte that was received is sent, in order, once. A FIN is passed on when all bytes
// before it are (shutdown of the writing side), each way by itself. A RST is passed on as a RST,
// after the bytes that came before it, as far as the other side takes them in time. A side that
// takes nothing holds the other back (the kernel's buffers and at most one of ours fill up).
// Out-of-band bytes (TCP's urgent data) are not carried; the stream around them is.
//
// The process must ignore SIGPIPE: splice(2) to a socket whose peer is gone raises it, and cannot
// be told not to.
#pragma once

#include <sys/epoll.h>

#include <cstdint>

#include "base/bytes.h"
#include "base/time.h"
#include "host/tcp_socket.h"
#include "relay/direction.h"
#include "relay/options.h"
#include "relay/pools.h"

namespace sluice::relay {

// EPOLLPRI costs nothing, and without it bytes behind an urgent mark would wait for more.
inline constexpr std::uint32_t kPairEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;

enum class Side : std::uint8_t { kClient, kTarget };

// What becomes of the client's socket when both FINs have passed.
enum class ClientEnd : std::uint8_t {
  kClose,  // Closed; its kernel delivers what is still under way.
  kKeep,   // Shut down and left for take_client(), so that its owner sees when all has arrived.
};

struct PairOptions {
  Mode mode = Mode::kAuto;
  Transport client = Transport::kTcp;
  Transport target = Transport::kTcp;
  Throttle to_target = {};
  Throttle to_client = {};
  // Bytes for the target before anything the client sends: a PROXY header, and what was read
  // behind the client's. Copied.
  ByteView head_to_target = {};
  ClientEnd client_end = ClientEnd::kClose;
};

enum class PairStatus : std::uint8_t {
  kWaiting,  // Nothing to do before the next event.
  kMore,     // This turn's share is used up: call pump() again after others had theirs.
  kLater,    // Nothing to do before the next event or resume_at(), whichever is first.
  kEnded,    // Both sockets are closed or reset; see end().
};

// What the sides see of a pair that is stopped.
enum class StopHow : std::uint8_t {
  kClose,  // A side that was passed the other's FIN, and so has all: an ordinary close. Else a RST.
  kReset,  // A RST.
};

// How a pair ended.
enum class PairEnd : std::uint8_t {
  kClientClosed,  // Both FINs were seen; the client's came first.
  kTargetClosed,  // Both FINs were seen; the target's came first.
  kClientReset,   // By a RST or another error of that side.
  kTargetReset,
  kStopped,  // stop() was called.
};

// Joins two sockets once. Ends before it goes, by kEnded or stop(): only these give back what is
// borrowed.
class Pair {
 public:
  Pair() = default;
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  // Both connected and non-blocking; of TCP or AF_UNIX. Both are taken to be writable and the
  // client to be readable until the kernel says otherwise, so the first pump() may follow at once.
  // The target is read when an event says so: events that came earlier, such as the one that told
  // of the connection (it may carry EPOLLIN as well), must be note()d too, before or after start().
  void start(host::TcpSocket client, host::TcpSocket target, const PairOptions& options,
             Pools& pools);

  // Events of one side as epoll gave them. Only remembers them.
  void note(Side side, std::uint32_t events);
  // An error of its socket that was asked for already, so that the kernel tells it no more.
  void note_failure(Side side, int error);

  // Other limits, from here on; null: none.
  void set_lanes(policy::Lane* to_target, policy::Lane* to_client) {
    to_target_.set_lane(to_target);
    to_client_.set_lane(to_client);
  }

  // Moves what can be moved now, up to a share each way. May be called at any time.
  [[nodiscard]] PairStatus pump(Pools& pools, Instant now);
  [[nodiscard]] Instant resume_at() const { return resume_at_; }  // After kLater.
  // After kLater: one way has something to carry, and nothing is left of its lane.
  [[nodiscard]] bool used_up() const { return to_target_.used_up() || to_client_.used_up(); }

  // Ends it at once, and gives everything back to the pools.
  void stop(Pools& pools, StopHow how);

  // Taken by the target's socket; its head included.
  [[nodiscard]] std::uint64_t bytes_to_target() const { return to_target_.moved(); }
  [[nodiscard]] std::uint64_t bytes_to_client() const { return to_client_.moved(); }
  // Received from the client and not yet taken by the target's socket.
  [[nodiscard]] std::size_t held_for_target() const { return to_target_.held(); }
  // Received from the target and not yet taken by the client's socket.
  [[nodiscard]] std::size_t held_for_client() const { return to_client_.held(); }
  // Whether this side was passed the other's FIN, behind all bytes.
  [[nodiscard]] bool has_all(Side side) const {
    return (fins_passed_ & bit(side == Side::kClient ? Side::kTarget : Side::kClient)) != 0;
  }
  // For options and questions; its bytes are the pair's.
  [[nodiscard]] host::TcpSocket& socket(Side side) {
    return side == Side::kClient ? client_ : target_;
  }
  [[nodiscard]] const host::TcpSocket& socket(Side side) const {
    return side == Side::kClient ? client_ : target_;
  }
  // One direction has ended and the other has not.
  [[nodiscard]] bool half_closed() const { return to_target_.ended() != to_client_.ended(); }
  [[nodiscard]] PairEnd end() const { return end_; }  // After kEnded or stop().
  // After kEnded with ClientEnd::kKeep. Invalid when a RST ended it.
  [[nodiscard]] host::TcpSocket take_client() { return std::move(client_); }
  [[nodiscard]] int error() const { return error_; }  // errno behind kClientReset, kTargetReset.

 private:
  // A failure has its own way to the end: the other side gets what was received before it, a FIN
  // included, is given time to acknowledge, and is reset.
  enum class Phase : std::uint8_t { kJoined, kDelivering, kAcknowledging, kEnded };

  [[nodiscard]] PairStatus join(Pools& pools, Instant now);
  [[nodiscard]] PairStatus pass_ends(Pools& pools);
  [[nodiscard]] PairStatus fail(Side side, int error, Pools& pools, Instant now);
  [[nodiscard]] PairStatus deliver(Pools& pools, Instant now);
  [[nodiscard]] PairStatus acknowledge(Pools& pools, Instant now);
  [[nodiscard]] PairStatus finish(Pools& pools);
  void finish_failed();
  // To the other side, behind all that this one sent. Once.
  void pass_fin(Side side);
  // errno of the side that failed, as the kernel tells it once.
  [[nodiscard]] int ask_error();
  void give_back(Pools& pools);

  [[nodiscard]] static constexpr std::uint8_t bit(Side side) {
    return static_cast<std::uint8_t>(1U << static_cast<unsigned>(side));
  }
  [[nodiscard]] Direction& direction_from(Side side) {
    return side == Side::kClient ? to_target_ : to_client_;
  }
  [[nodiscard]] Direction::Ends ends_from(Side side) const {
    return side == Side::kClient ? Direction::Ends{client_.fd(), target_.fd()}
                                 : Direction::Ends{target_.fd(), client_.fd()};
  }

  host::TcpSocket client_;
  host::TcpSocket target_;
  Direction to_target_;
  Direction to_client_;
  Instant resume_at_ = kNever;
  std::int32_t error_ = 0;
  Phase phase_ = Phase::kJoined;
  ClientEnd client_end_ = ClientEnd::kClose;
  PairEnd end_ = PairEnd::kStopped;
  Side failed_ = Side::kClient;
  std::uint8_t polls_ = 0;         // How often the survivor's acknowledgements were asked for.
  std::uint8_t errors_noted_ = 0;  // A bit for each Side that EPOLLERR came for.
  std::uint8_t fins_passed_ = 0;   // A bit for each Side whose FIN the other side has.
};
static_assert(sizeof(Pair) <= 232);  // 20,000 idle connections are to cost little.

}  // namespace sluice::relay
