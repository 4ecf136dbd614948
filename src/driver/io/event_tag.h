// What events of the guest's worker are about.
#pragma once

#include <cstdint>

#include "base/event_tag.h"

namespace sluice::driver {

enum class EventKind : std::uint8_t {
  kLink,
  kTcp,
  kDial,
  kUdp,
  kPing,
  kDnsUdp,
  kDnsTcp,
  kListener,
  kAgent,
  kCarriedGuest,
  kCarriedHost,
  kGuestListener,
  kGuestDatagrams,
  kGuestCall,
  kHostAddresses,
  kInbox,
  kOutside,
};

using EventTag = sluice::EventTag<EventKind>;

}  // namespace sluice::driver
