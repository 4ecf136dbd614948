// DNS over TCP to our address ends here (RFC 7766): the host's end of such a flow is no socket but
// this. What TcpFlows asks of a socket is answered from memory, questions go to the relay, and no
// byte of the guest's choice reaches a resolver but as a question that the relay has read.
//
// What is no DNS, a client that stands still, and what exceeds a bound end with a reset. Sans-IO;
// one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "dns/dns_relay.h"
#include "dns/dns_stream.h"
#include "flow/core/action.h"
#include "flow/tcp/tcp_flows.h"

namespace sluice::flow {

class DnsStreams {
 public:
  static constexpr std::size_t kStreamsMax = 512;
  // Answers that wait for the guest, over all connections. Beyond it an answer becomes SERVFAIL.
  static constexpr std::size_t kOutputMax = 16U << 20U;
  // A client that neither asks a whole question nor reads an answer for this long is told that we
  // are through, and then has this much longer to close its side.
  static constexpr Duration kIdleMax = std::chrono::seconds{30};
  static constexpr Duration kCloseMax = std::chrono::seconds{10};

  // `flows` is not owned.
  explicit DnsStreams(TcpFlows& flows) : flows_(flows) {}

  [[nodiscard]] bool empty() const { return streams_.empty(); }
  [[nodiscard]] std::size_t size() const { return streams_.size(); }
  [[nodiscard]] bool serves(TcpId id) const { return find(id) != nullptr; }

  // What a host's socket would do. They answer by the events of TcpFlows.
  void connect(TcpId id, Turn turn);
  void write(const WriteTcp& action, Turn turn);
  void peek(const PeekTcp& action, Turn turn);
  void discard(const DiscardTcp& action, Instant now);
  void shutdown(TcpId id);
  void close(TcpId id) { erase(id); }

  // Asks what may be asked; `ask` answers by way of answer().
  using Ask = std::function<dns::DnsQueryOutcome(const dns::DnsClient& client, ByteView message)>;
  void ask_next(TcpId id, const Ask& ask, Turn turn);
  // For a client that is gone by now: nothing.
  void answer(TcpId id, ByteView message, Turn turn);
  // Connections that may take up further questions; the list is the caller's to clear.
  [[nodiscard]] std::vector<TcpId>& ready() { return ready_; }

  [[nodiscard]] Instant next_deadline() const { return streams_.empty() ? kNever : next_check_; }
  void on_timer(Turn turn);

 private:
  struct Stream {
    TcpId id;
    dns::DnsStream bytes;
    Instant active{};     // When it asked or read something last.
    bool ended = false;   // Nothing more comes from us: the guest reads an end of stream.
    bool listed = false;  // In ready_.
  };

  [[nodiscard]] Stream* find(TcpId id);
  [[nodiscard]] const Stream* find(TcpId id) const;
  void erase(TcpId id);
  void list(Stream& stream);
  void reset(TcpId id, Turn turn);

  TcpFlows& flows_;
  std::unordered_map<std::uint32_t, Stream> streams_;  // By the flow's index.
  std::vector<TcpId> ready_;
  std::size_t output_held_ = 0;
  Instant next_check_ = kNever;
};

}  // namespace sluice::flow
