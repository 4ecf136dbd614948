// Who gives up a descriptor when the process has none left and a new flow of the guest's needs one.
// With the descriptor goes its watch, of which a user may have so many (epoll(7),
// max_user_watches).
#pragma once

#include <cerrno>

#include "base/time.h"
#include "flow/core/action.h"
#include "sys/sys_error.h"

namespace sluice::driver {

class DescriptorRoom {
 public:
  // True: a descriptor and a watch are free now. The end of its flow is told in `out`.
  [[nodiscard]] virtual bool make_room(flow::Turn turn) = 0;

 protected:
  ~DescriptorRoom() = default;
};

// No descriptor, or, of epoll_ctl(2), no watch.
[[nodiscard]] constexpr bool lacks_room(int error) {
  return sys::is_exhaustion(error) || error == ENOSPC;
}

// What `open` makes; once more when it lacked a descriptor, or a watch, and one could be had.
template <typename Open>
[[nodiscard]] auto open_with_room(DescriptorRoom* room, flow::Turn turn, const Open& open) {
  auto opened = open();
  if (!opened && lacks_room(opened.error().error) && room != nullptr && room->make_room(turn)) {
    opened = open();
  }
  return opened;
}

}  // namespace sluice::driver
