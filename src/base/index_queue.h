// A queue through objects that are known by an index, such as those of a Slab: each holds its own
// link, so that one leaves from the middle at once and nothing is allocated. An object is in at
// most one queue at a time, and its owner knows in which.
#pragma once

#include <cstdint>

namespace sluice {

struct IndexLink {
  std::uint32_t before = 0xffff'ffff;
  std::uint32_t after = 0xffff'ffff;
};

class IndexQueue {
 public:
  static constexpr std::uint32_t kNone = 0xffff'ffff;

  // The one that has waited longest, or kNone.
  [[nodiscard]] std::uint32_t front() const { return front_; }

  // `link_of(index)` is the link of the object, here and below.
  template <typename LinkOf>
  void push_back(std::uint32_t index, LinkOf&& link_of) {
    link_of(index) = {back_, kNone};
    (back_ == kNone ? front_ : link_of(back_).after) = index;
    back_ = index;
  }
  // Only for an object that is in this queue.
  template <typename LinkOf>
  void remove(std::uint32_t index, LinkOf&& link_of) {
    const IndexLink link = link_of(index);
    (link.before == kNone ? front_ : link_of(link.before).after) = link.after;
    (link.after == kNone ? back_ : link_of(link.after).before) = link.before;
  }

 private:
  std::uint32_t front_ = kNone;
  std::uint32_t back_ = kNone;
};

}  // namespace sluice
