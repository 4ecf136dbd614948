// UDP sockets to the host's resolvers. A socket is connected, so that only the resolver it asks is
// heard, has a port that the kernel drew, and serves few questions for a short time; then the next
// one takes over, and it stays until its last question is answered or given up. So a stranger has
// to guess a port and an id together, and what he finds out about a port is soon of no use
// (RFC 5452, 9.2), while a busy guest does not pay for a socket with each question.
//
// An answer counts only on the socket that its question went out on. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/slab.h"
#include "base/time.h"
#include "dns/dns_pending.h"
#include "driver/io/event_tag.h"
#include "driver/io/io_context.h"
#include "host/udp_socket.h"

namespace sluice::driver {

class DnsSockets {
 public:
  static constexpr std::size_t kQuestionsEach = 32;
  static constexpr Duration kOpenFor = std::chrono::milliseconds(500);

  // References are not owned.
  explicit DnsSockets(IoContext context)
      : kernel_(context.kernel), loop_(context.loop), outbound_(context.outbound) {}

  // Sends a question with the next flush(); `message` is borrowed until then. Those that cannot be
  // sent are appended to `failed` and not forgotten.
  void ask(dns::DnsSlot slot, const wire::Endpoint& resolver, std::uint32_t scope_id,
           ByteView message, Instant now, std::vector<dns::DnsSlot>& failed);
  void flush(std::vector<dns::DnsSlot>& failed);
  // The question was answered or given up.
  void forget(dns::DnsSlot slot);

  // What arrived, and for which question. The bytes are valid during the call. Questions that have
  // failed, because nobody listens there, are appended to `failed` and not forgotten.
  using Deliver = std::function<void(dns::DnsSlot slot, ByteView message)>;
  void on_event(const EventTag& tag, std::uint32_t events, const Deliver& deliver,
                std::vector<dns::DnsSlot>& failed);

  [[nodiscard]] std::size_t open() const { return sockets_.size(); }

 private:
  static constexpr std::size_t kBatch = 16;
  static constexpr std::size_t kMessageMax = 65'536;

  struct Question {
    std::uint16_t id = 0;
    dns::DnsSlot slot{};
  };
  struct Socket {
    host::UdpSocket socket;
    wire::Endpoint resolver{};
    std::uint32_t scope_id = 0;
    Instant opened{};
    std::size_t asked = 0;
    bool current = false;  // Listed in current_.
    std::vector<Question> waiting{};
  };
  struct Outgoing {
    dns::DnsSlot slot{};
    iovec part{};
  };
  struct Place {
    dns::DnsSlot slot{};
    SlabHandle socket{};
  };

  [[nodiscard]] SlabHandle socket_for(const wire::Endpoint& resolver, std::uint32_t scope_id,
                                      std::uint16_t id, Instant now);
  [[nodiscard]] SlabHandle open(const wire::Endpoint& resolver, std::uint32_t scope_id,
                                Instant now);
  [[nodiscard]] static bool is_refused(Socket& socket);
  void retire(SlabHandle handle);
  void close_if_unused(SlabHandle handle);

  sys::Kernel& kernel_;
  sys::EventLoop& loop_;
  const host::Outbound& outbound_;
  Slab<Socket> sockets_;
  std::vector<SlabHandle> current_;  // One for each resolver that was asked lately.
  std::vector<Place> places_;        // By the lower half of the slot.
  SlabHandle batch_socket_{};
  std::vector<Outgoing> batch_;  // For this one socket.
  host::DatagramScratch scratch_;
  std::unique_ptr<std::uint8_t[]> buffer_;  // Of kBatch messages; taken with the first question.
};

}  // namespace sluice::driver
