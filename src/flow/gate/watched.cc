#include "flow/gate/watched.h"

#include <algorithm>

namespace sluice::flow {

struct Watched::Chain {
  ActionSink& out;
  std::vector<std::vector<std::uint8_t>>& parting;
  Sifted sifted{};
  std::uint32_t last = kNoRange;

  void add(ByteView bytes) {
    const std::uint32_t range = out.next_range();
    if (last == kNoRange) {
      sifted.first_range = range;
    } else {
      out.link_range(last, range);
    }
    out.add_range(bytes);
    last = range;
    sifted.bytes += bytes.size();
  }
};

// Adds to what is held as much as may complete it, and returns what is left of the bytes.
ByteView Watched::complete(ByteView bytes, const Asking& asking, Chain& chain) {
  const std::size_t before = held_.size();
  const ByteView part = bytes.first(std::min(bytes.size(), kHeldMax - before));
  held_.insert(held_.end(), part.begin(), part.end());
  HttpWatch::Course course = watch_.pass(held_, seen_, asking);
  if (course.refusal) {
    chain.sifted.refusal = std::move(course.refusal);
    return {};
  }
  if (course.passed == 0) {
    seen_ = held_.size();
    if (part.size() < bytes.size()) {
      chain.sifted.refusal = Refusal{.verdict = policy::Verdict::kFirstBytesFull};
    }
    return bytes.subspan(part.size());
  }
  chain.parting.push_back(std::move(held_));
  const ByteView whole = chain.parting.back();
  chain.add(whole.first(course.passed));
  held_.clear();
  if (course.passed >= before) return bytes.subspan(course.passed - before);
  held_.assign(whole.begin() + static_cast<std::ptrdiff_t>(course.passed), whole.end());
  seen_ = held_.size();
  return bytes.subspan(part.size());
}

Watched::Sifted Watched::sift(std::uint32_t chain, const Asking& asking, ActionSink& out,
                              std::vector<std::vector<std::uint8_t>>& parting) {
  Chain onward{.out = out, .parting = parting};
  if (chain == kNoRange && !held_.empty()) (void)complete({}, asking, onward);
  while (chain != kNoRange && !onward.sifted.refusal) {
    const BurstRange range = out.range(chain);  // By value: adding moves them.
    chain = range.next;
    ByteView rest = range.bytes;
    while (!rest.empty() && !held_.empty() && !onward.sifted.refusal) {
      rest = complete(rest, asking, onward);
    }
    if (rest.empty() || onward.sifted.refusal) continue;
    HttpWatch::Course course = watch_.pass(rest, 0, asking);
    if (course.refusal) {
      onward.sifted.refusal = std::move(course.refusal);
      continue;
    }
    if (course.passed > 0) onward.add(rest.first(course.passed));
    rest = rest.subspan(course.passed);
    if (rest.size() > kHeldMax) {
      onward.sifted.refusal = Refusal{.verdict = policy::Verdict::kFirstBytesFull};
      continue;
    }
    held_.assign(rest.begin(), rest.end());
    seen_ = held_.size();
  }
  return std::move(onward.sifted);
}

}  // namespace sluice::flow
