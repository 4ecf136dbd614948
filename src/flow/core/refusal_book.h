// What was refused lately, by number: for the guest to look up why (http://sluice.internal/). The
// same refusal again is counted, not written twice. Bounded; the oldest gives way. One for each
// guest, and so for all of its workers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dns/names/name_book.h"
#include "policy/verdict.h"

namespace sluice::flow {

struct NotedRefusal {
  std::uint32_t id = 0;
  std::string what{};  // "telemetry.example:443/tcp", or a name that was asked for.
  policy::Verdict verdict{};
  std::string rule{};  // The id of the rule that decided.
  std::string note{};
  std::uint64_t count = 0;
};

class RefusalBook {
 public:
  // The number of the refusal, whose `id` and `count` do not matter. It happened `times` times
  // more.
  virtual std::uint32_t note(NotedRefusal refusal, std::uint64_t times) = 0;
  [[nodiscard]] virtual std::optional<NotedRefusal> find(std::uint32_t id) const = 0;
  // The newest first, `max` of them at most.
  [[nodiscard]] virtual std::vector<NotedRefusal> newest(std::size_t max) const = 0;

  virtual ~RefusalBook() = default;
};

// `Lock` as of dns::NameBookOf.
template <typename Lock>
class RefusalBookOf final : public RefusalBook {
 public:
  static constexpr std::size_t kMax = 256;

  std::uint32_t note(NotedRefusal refusal, std::uint64_t times) override {
    const Guard guard(lock_);
    const auto same = std::ranges::find_if(all_, [&](const NotedRefusal& other) {
      return other.verdict == refusal.verdict && other.what == refusal.what &&
             other.rule == refusal.rule;
    });
    if (same != all_.end()) {
      same->count += times;
      return same->id;
    }
    if (all_.size() == kMax) all_.pop_front();
    refusal.id = ++last_;
    refusal.count = times;
    all_.push_back(std::move(refusal));
    return last_;
  }
  [[nodiscard]] std::optional<NotedRefusal> find(std::uint32_t id) const override {
    const Guard guard(lock_);
    const auto found = std::ranges::find(all_, id, &NotedRefusal::id);
    return found == all_.end() ? std::nullopt : std::optional(*found);
  }
  [[nodiscard]] std::vector<NotedRefusal> newest(std::size_t max) const override {
    const Guard guard(lock_);
    const auto count = static_cast<std::ptrdiff_t>(std::min(max, all_.size()));
    return {all_.rbegin(), all_.rbegin() + count};
  }

 private:
  class Guard {
   public:
    explicit Guard(Lock& lock) : lock_(lock) { lock_.lock(); }
    ~Guard() { lock_.unlock(); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    Lock& lock_;
  };

  mutable Lock lock_;
  std::deque<NotedRefusal> all_;
  std::uint32_t last_ = 0;
};

}  // namespace sluice::flow
