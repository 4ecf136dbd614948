#include "link/shared/fault_guard.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>
#include <utility>

namespace sluice::link {
namespace {

struct Range {
  std::atomic<bool> taken{false};
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::uintptr_t> end{0};  // Zero: faults are not looked for here.
  std::atomic<bool> broken{false};
};

// A signal's handler has nothing but globals.
std::array<Range, GuardedRange::kRangesMax> ranges;
struct sigaction others{};

// Pages of zeros over all of it, so that the faulting access goes on. Only what may be called here.
[[nodiscard]] bool mend(std::uintptr_t address) {
  for (Range& range : ranges) {
    const std::uintptr_t end = range.end.load(std::memory_order_acquire);
    const std::uintptr_t begin = range.begin.load(std::memory_order_acquire);
    if (address < begin || address >= end) continue;
    // Its owner may have let go of it meanwhile, and begun another in its place.
    if (range.end.load(std::memory_order_relaxed) != end) continue;
    range.broken.store(true, std::memory_order_release);
    // The call itself: what stands before it in a library is for nobody within a signal.
    const long pages = ::syscall(SYS_mmap, begin, end - begin, PROT_READ | PROT_WRITE,
                                 MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return static_cast<std::uintptr_t>(pages) == begin;
  }
  return false;
}

void on_fault(int /*signal*/, siginfo_t* info, void* /*context*/) {
  const int error = errno;
  // Whoever had the signal gets it when the instruction is tried again.
  if (!mend(reinterpret_cast<std::uintptr_t>(info->si_addr))) ::sigaction(SIGBUS, &others, nullptr);
  errno = error;
}

void take_signal() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action{};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(SIGBUS, &action, &others);
  });
}

}  // namespace

std::optional<GuardedRange> GuardedRange::claim(MutableBytes mapping) {
  take_signal();
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    Range& range = ranges[i];
    if (range.taken.exchange(true)) continue;
    const auto begin = reinterpret_cast<std::uintptr_t>(mapping.data());
    range.broken.store(false, std::memory_order_relaxed);
    range.begin.store(begin, std::memory_order_relaxed);
    range.end.store(begin + mapping.size(), std::memory_order_release);
    return GuardedRange(i);
  }
  return std::nullopt;
}

GuardedRange::GuardedRange(GuardedRange&& other) noexcept
    : place_(std::exchange(other.place_, kNowhere)) {}

GuardedRange& GuardedRange::operator=(GuardedRange&& other) noexcept {
  std::swap(place_, other.place_);
  return *this;
}

GuardedRange::~GuardedRange() {
  if (place_ == kNowhere) return;
  ranges[place_].end.store(0, std::memory_order_release);
  ranges[place_].taken.store(false, std::memory_order_release);
}

bool GuardedRange::broken() const {
  return place_ != kNowhere && ranges[place_].broken.load(std::memory_order_acquire);
}

}  // namespace sluice::link
