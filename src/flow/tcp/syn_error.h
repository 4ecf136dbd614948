#pragma once

#include "flow/core/flow_key.h"
#include "flow/ip/guest_link.h"

namespace sluice::flow {

// Tells the guest that its SYN, with the number `isn`, came to nothing; of that packet no more is
// kept, and the error quotes what is known (RFC 792, RFC 4443, 3.1). False where no error may be
// sent as there were too many: the guest, which would try for minutes, is to be reset.
[[nodiscard, gnu::cold]] inline bool send_syn_error(GuestLink& link, const FlowKey& key,
                                                    wire::SeqNum isn, IcmpErrorKind kind,
                                                    Turn turn) {
  return link.send_error({.kind = kind},
                         {.protocol = wire::IpProtocol::kTcp,
                          .guest = key.guest,
                          .remote = key.remote,
                          .sequence = isn},
                         turn);
}

}  // namespace sluice::flow
