// How much to expect of a source that is read until it has no more. That it has no more is a system
// call of its own, made before the first piece can be answered, and where one piece comes at a
// time, as questions and answers do, the loop tells of the next anyway. So after a few bursts of
// one, the first is taken for the last, and it is looked again now and then.
#pragma once

#include <algorithm>
#include <cstddef>

namespace sluice {

class BurstGuess {
 public:
  // So many in a row make us expect another.
  static constexpr unsigned kLoneBursts = 3;
  // Every so many, it is looked whether more was there.
  static constexpr unsigned kLookEach = 16;

  // Whether the next burst is to end after its first piece. Then it is not found().
  [[nodiscard]] bool expects_one() {
    if (lone_ < kLoneBursts) return false;
    if (++expected_ < kLookEach) return true;
    expected_ = 0;
    return false;
  }
  // What was there when it was looked.
  void found(std::size_t pieces) { lone_ = pieces > 1 ? 0 : std::min(lone_ + 1, kLoneBursts); }

 private:
  unsigned lone_ = 0;
  unsigned expected_ = 0;
};

}  // namespace sluice
