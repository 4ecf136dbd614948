// The sockets of UDP flows, by what they are for: one for all flows of an endpoint of the guest's,
// one for a single flow, one of a published port, or one in the guest's network, at its loopback.
// Only their names: the sockets themselves are the driver's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/slab.h"
#include "flow/core/action.h"
#include "flow/core/flow_table.h"

namespace sluice::flow {

class UdpSockets {
 public:
  struct Socket {
    // Whose it is, or leads to; of one in the guest's network the server that it is connected to.
    wire::Endpoint guest;
    std::uint32_t flows = 0;
    bool published = false;
    bool withdrawn = false;                 // It was; those who have called go on.
    bool in_guest = false;                  // At the guest's loopback.
    std::uint32_t only = FlowTable::kNone;  // The one flow that it is for.
  };

  explicit UdpSockets(const HashSecret& secret) : shared_(secret), published_(secret) {}

  [[nodiscard]] Socket* find(UdpId id) { return sockets_.find(id); }
  [[nodiscard]] const Socket* find(UdpId id) const { return sockets_.find(id); }
  [[nodiscard]] Socket& at(std::uint32_t index) { return sockets_.at(index); }
  [[nodiscard]] std::size_t size() const { return sockets_.size(); }

  // The one that all flows of an endpoint share; nothing: there is none yet.
  [[nodiscard]] std::optional<UdpId> shared(const wire::Endpoint& guest) const;
  [[nodiscard]] UdpId add_shared(const wire::Endpoint& guest);
  [[nodiscard]] UdpId add_own(const wire::Endpoint& guest, std::uint32_t flow);
  [[nodiscard]] UdpId add_in_guest(const wire::Endpoint& server, std::uint32_t flow);
  [[nodiscard]] UdpId publish(const wire::Endpoint& guest);
  [[nodiscard]] bool is_published(const wire::Endpoint& guest) const;
  // False: it was, or is not there.
  [[nodiscard]] bool withdraw(UdpId id);
  // Whether nobody needs it any more: then it is gone, and to be closed.
  [[nodiscard]] bool drop_unused(UdpId id);

 private:
  [[nodiscard]] static FlowKey key_of(const wire::Endpoint& guest) {
    return {guest, {}, wire::IpProtocol::kUdp};
  }
  [[nodiscard]] std::uint32_t index_in(const FlowTable& table, const wire::Endpoint& guest) const {
    return table.find(key_of(guest),
                      [this](std::uint32_t index) { return key_of(sockets_.at(index).guest); });
  }

  Slab<Socket> sockets_;
  FlowTable shared_;
  FlowTable published_;
};

}  // namespace sluice::flow
