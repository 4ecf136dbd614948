// Probe points: where something worth knowing happens on the way of a connection.
//
//   SLUICE_PROBE(bytes_to_host, id.index, taken, buffered);
//
// puts two things there, and each costs one nop while nobody looks:
//  - a USDT probe, "sluice:bytes_to_host", for bpftrace, perf and SystemTap (sys/sdt.h; no
//    semaphore). Its arguments are read from where the compiler has them, so pass what is in a
//    register or in memory anyway, and compute nothing;
//  - a site of the built-in trace (trace/trace_sites.h): a five-byte nop that --trace turns into a
//    jump, in the manner of the kernel's static keys, to code off the path that writes to a ring.
//
// A probe only observes: it gives no value back, so the core that it stands in stays a function
// of its arguments. With -DSLUICE_PROBES=OFF the macros are empty.
#pragma once

#include <cstdint>

#include "trace/trace_event.h"

#if SLUICE_PROBES

#include <sys/sdt.h>

#ifndef __x86_64__
#include <atomic>
#endif

namespace sluice::trace {

// Writes to the ring that was given to start_trace(), if any.
[[gnu::cold, gnu::noinline]] void write_trace(TraceEvent event, std::uint32_t flow, std::uint64_t a,
                                              std::uint64_t b) noexcept;

#ifdef __x86_64__
// Each place where this is inlined adds a trace_sites.h TraceSite to the table. "?" puts the entry
// into the group of the function around it, so that the linker drops both or none.
template <TraceEvent kEvent>
[[nodiscard, gnu::always_inline]] inline bool trace_site_is_on() {
  asm inline goto(
      "661: .byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n"
      ".pushsection sluice_trace_sites, \"a?\", @progbits\n"
      ".balign 4\n"
      ".long 661b - ., %l[on] - ., %c[event]\n"
      ".popsection"
      :
      : [event] "i"(static_cast<unsigned>(kEvent))
      :
      : on);
  return false;
on:
  return true;
}
#else
// Elsewhere a flag is tested.
extern std::atomic<std::uint32_t> trace_events_on;
template <TraceEvent kEvent>
[[nodiscard, gnu::always_inline]] inline bool trace_site_is_on() {
  const std::uint32_t bit = std::uint32_t{1} << static_cast<unsigned>(kEvent);
  return (trace_events_on.load(std::memory_order_relaxed) & bit) != 0;
}
#endif

}  // namespace sluice::trace

// "inline": GCC takes a statement to be as large as its text has lines, which are many, and would
// inline less around it. sdt.h has STAP_PROBE_ASM for statements of one's own, but only in C; this
// is what that comes down to.
#define SLUICE_USDT_PROBE(name, a, b, c)                                            \
  asm inline volatile(_SDT_ASM_BODY(sluice, name, _SDT_ASM_ARGS, (3)) _SDT_ASM_BASE \
                      :                                                             \
                      : _SDT_ASM_OPERANDS_3(a, b, c))

// The ring may be told other values than the USDT probe, as it computes them only when it is on.
#define SLUICE_PROBE_VALUES(name, flow, usdt_a, usdt_b, ring_a, ring_b)                          \
  do {                                                                                           \
    SLUICE_USDT_PROBE(name, flow, usdt_a, usdt_b);                                               \
    if (::sluice::trace::trace_site_is_on<::sluice::trace::trace_event(#name)>()) [[unlikely]] { \
      ::sluice::trace::write_trace(::sluice::trace::trace_event(#name), flow,                    \
                                   static_cast<::std::uint64_t>(ring_a),                         \
                                   static_cast<::std::uint64_t>(ring_b));                        \
    }                                                                                            \
  } while (false)

#else

// Nothing is evaluated, but nothing is unused either.
#define SLUICE_PROBE_VALUES(name, flow, usdt_a, usdt_b, ring_a, ring_b)               \
  static_cast<void>(sizeof(flow) + sizeof(usdt_a) + sizeof(usdt_b) + sizeof(ring_a) + \
                    sizeof(ring_b))

#endif

#define SLUICE_PROBE(name, flow, a, b) SLUICE_PROBE_VALUES(name, flow, a, b, a, b)
