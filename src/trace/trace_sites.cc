#include "trace/trace_sites.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <span>

#include "trace/probe.h"

#if SLUICE_PROBES && defined(__x86_64__)
// The linker makes these for a section whose name is an identifier; weak, as a program may be
// linked without any site.
extern "C" {
[[gnu::weak, gnu::visibility("hidden")]] extern const sluice::trace::TraceSite
    __start_sluice_trace_sites[];  // NOLINT(bugprone-reserved-identifier)
[[gnu::weak, gnu::visibility("hidden")]] extern const sluice::trace::TraceSite
    __stop_sluice_trace_sites[];  // NOLINT(bugprone-reserved-identifier)
}
#endif

namespace sluice::trace {

#if SLUICE_PROBES

namespace {

std::atomic<TraceRing*> active_ring{nullptr};

}  // namespace

void write_trace(TraceEvent event, std::uint32_t flow, std::uint64_t a, std::uint64_t b) noexcept {
  if (TraceRing* ring = active_ring.load(std::memory_order_relaxed)) ring->write(event, flow, a, b);
}

#ifdef __x86_64__

namespace {

using Code = std::array<std::uint8_t, 5>;
constexpr Code kNop{0x0f, 0x1f, 0x44, 0x00, 0x00};

[[nodiscard]] std::span<const TraceSite> sites() {
  return {__start_sluice_trace_sites, __stop_sluice_trace_sites};
}

[[nodiscard]] std::uintptr_t resolve(const std::int32_t& distance) {
  return reinterpret_cast<std::uintptr_t>(&distance) + static_cast<std::uintptr_t>(distance);
}

[[nodiscard]] std::uint8_t* code_of(const TraceSite& site) {
  return reinterpret_cast<std::uint8_t*>(resolve(site.code));
}

// jmp rel32: from the end of the instruction.
[[nodiscard]] Code jump_of(const TraceSite& site) {
  const auto distance =
      static_cast<std::uint32_t>(resolve(site.target) - resolve(site.code) - sizeof(Code));
  Code code{0xe9};
  std::memcpy(code.data() + 1, &distance, sizeof distance);
  return code;
}

void write_sites(TraceEvents events) {
  for (const TraceSite& site : sites()) {
    const Code code = events.has(static_cast<TraceEvent>(site.event)) ? jump_of(site) : kNop;
    std::memcpy(code_of(site), code.data(), code.size());
  }
}

[[nodiscard]] bool sites_are_intact() {
  return std::all_of(sites().begin(), sites().end(), [](const TraceSite& site) {
    Code code;
    std::memcpy(code.data(), code_of(site), code.size());
    return code == kNop || code == jump_of(site);
  });
}

// The pages that hold all sites: a part of the program's one executable mapping.
[[nodiscard]] std::span<std::uint8_t> pages_of_sites() {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  std::uintptr_t first = UINTPTR_MAX;
  std::uintptr_t last = 0;
  for (const TraceSite& site : sites()) {
    first = std::min(first, resolve(site.code));
    last = std::max(last, resolve(site.code) + sizeof(Code));
  }
  first &= ~(page - 1);
  last = (last + page - 1) & ~(page - 1);
  return {reinterpret_cast<std::uint8_t*>(first), last - first};
}

[[nodiscard]] std::expected<void, TraceError> switch_sites(TraceEvents events) {
  if (sites().empty()) return {};
  if (!sites_are_intact()) {
    return std::unexpected(TraceError{"the code at a trace point is not what was built"});
  }
  const std::span<std::uint8_t> pages = pages_of_sites();
  // Executable all the time: this very function may lie in there.
  if (::mprotect(pages.data(), pages.size(), PROT_READ | PROT_WRITE | PROT_EXEC) != 0) {
    return std::unexpected(TraceError{"the system forbids to change code in memory", errno});
  }
  write_sites(events);
  if (::mprotect(pages.data(), pages.size(), PROT_READ | PROT_EXEC) != 0) {
    const int error = errno;
    write_sites({});
    return std::unexpected(TraceError{"cannot protect changed code again", error});
  }
  return {};
}

}  // namespace

std::size_t trace_site_count() { return sites().size(); }

#else

std::atomic<std::uint32_t> trace_events_on{0};

namespace {

[[nodiscard]] std::expected<void, TraceError> switch_sites(TraceEvents events) {
  trace_events_on.store(events.bits(), std::memory_order_relaxed);
  return {};
}

}  // namespace

std::size_t trace_site_count() { return 0; }

#endif

std::expected<void, TraceError> start_trace(TraceRing& ring, TraceEvents events) {
  TraceRing* const before = active_ring.exchange(&ring, std::memory_order_relaxed);
  auto done = switch_sites(events);
  if (!done) active_ring.store(before, std::memory_order_relaxed);
  return done;
}

std::expected<void, TraceError> stop_trace() {
  auto done = switch_sites({});
  active_ring.store(nullptr, std::memory_order_relaxed);
  return done;
}

#else

std::expected<void, TraceError> start_trace(TraceRing& /*ring*/, TraceEvents /*events*/) {
  return std::unexpected(TraceError{"this program was built without probes (SLUICE_PROBES=OFF)"});
}

std::expected<void, TraceError> stop_trace() { return {}; }

std::size_t trace_site_count() { return 0; }

#endif

}  // namespace sluice::trace
