// Who gives up a descriptor when the process has none left and a new flow of the guest's needs one.
#pragma once

#include "base/time.h"
#include "flow/core/action.h"
#include "sys/sys_error.h"

namespace sluice::driver {

class DescriptorRoom {
 public:
  // True: a descriptor is free now. The end of its flow is told in `out`.
  [[nodiscard]] virtual bool make_room(Instant now, flow::ActionSink& out) = 0;

 protected:
  ~DescriptorRoom() = default;
};

// What `open` makes; once more when it lacked a descriptor and one could be had.
template <typename Open>
[[nodiscard]] auto open_with_room(DescriptorRoom* room, Instant now, flow::ActionSink& out,
                                  const Open& open) {
  auto opened = open();
  if (!opened && sys::is_exhaustion(opened.error().error) && room != nullptr &&
      room->make_room(now, out)) {
    opened = open();
  }
  return opened;
}

}  // namespace sluice::driver
