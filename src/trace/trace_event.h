// What can be traced: the events on the way of a connection, in the order of a connect cycle. The
// same names are those of the USDT probes, "sluice:frame_in".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::trace {

enum class TraceEvent : std::uint8_t {
  kPollReturned,   // The event loop woke; a: events.
  kFrameIn,        // A TCP segment of the guest; a: bytes of payload, b: flags.
  kFlowCreated,    // a: the guest's port, b: the other one.
  kConnectIssued,  // connect(2) returned.
  kConnectDone,    // a: 0, or the flow::HostError plus one.
  kSynAckQueued,
  kFramesFlushed,  // Frames were written to the tap; a: how many.
  kBytesToHost,    // a: bytes that left the guest's hands, b: of them waiting in the spill.
  kFinToHost,      // shutdown(2) returned.
  kBytesToGuest,   // a: bytes, b: 1 with a FIN.
  kWindowUpdate,   // An ACK was queued; a: the number it acknowledges, b: the window's right edge.
  kRetransmit,     // a: bytes; none for a SYN or FIN.
  kFlowClosed,     // a: the policy::Outcome.
};

inline constexpr std::array<std::string_view, 13> kTraceEventNames{
    "poll_returned",  "frame_in",       "flow_created",  "connect_issued", "connect_done",
    "syn_ack_queued", "frames_flushed", "bytes_to_host", "fin_to_host",    "bytes_to_guest",
    "window_update",  "retransmit",     "flow_closed"};

[[nodiscard]] constexpr std::string_view to_string(TraceEvent event) {
  return kTraceEventNames[static_cast<std::size_t>(event)];
}

// An unknown name does not compile.
[[nodiscard]] consteval TraceEvent trace_event(std::string_view name) {
  std::size_t at = 0;
  while (kTraceEventNames.at(at) != name) ++at;
  return static_cast<TraceEvent>(at);
}

// An event that belongs to no flow, or to one that is not there yet.
inline constexpr std::uint32_t kNoTraceFlow = 0xffff'ffff;

// A set of events.
class TraceEvents {
 public:
  constexpr TraceEvents() = default;
  [[nodiscard]] static constexpr TraceEvents all() {
    return TraceEvents((std::uint32_t{1} << kTraceEventNames.size()) - 1);
  }
  [[nodiscard]] constexpr TraceEvents with(TraceEvent event) const {
    return TraceEvents(bits_ | bit(event));
  }
  [[nodiscard]] constexpr bool has(TraceEvent event) const { return (bits_ & bit(event)) != 0; }
  [[nodiscard]] constexpr std::uint32_t bits() const { return bits_; }

 private:
  explicit constexpr TraceEvents(std::uint32_t bits) : bits_(bits) {}
  [[nodiscard]] static constexpr std::uint32_t bit(TraceEvent event) {
    return std::uint32_t{1} << static_cast<unsigned>(event);
  }
  std::uint32_t bits_ = 0;
};

}  // namespace sluice::trace
