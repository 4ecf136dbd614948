// The host's end of connections to http://sluice.internal/, which is port 80 of our DNS address:
// one request, one answer (inside_answers.h), from memory. Bounded in connections, in what a
// request may be and in time. Sans-IO; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "flow/core/action.h"
#include "flow/tcp/tcp_flows.h"

namespace sluice::flow {

class InsidePages {
 public:
  static constexpr std::size_t kPagesMax = 64;
  static constexpr std::size_t kHeadMax = 8 * 1024;
  static constexpr Duration kPatience = std::chrono::seconds{5};

  // Answers a whole head.
  using Answer = std::function<std::vector<std::uint8_t>(ByteView head)>;

  // `flows` is not owned.
  InsidePages(TcpFlows& flows, Answer answer) : flows_(flows), answer_(std::move(answer)) {}

  [[nodiscard]] bool empty() const { return pages_.empty(); }
  [[nodiscard]] bool serves(TcpId id) const {
    const auto at = pages_.find(id.index);
    return at != pages_.end() && at->second.id == id;
  }

  // What a host's socket would do. They answer by the events of TcpFlows.
  void connect(TcpId id, Turn turn);
  void write(const WriteTcp& action, Turn turn);
  void peek(const PeekTcp& action, Turn turn);
  void discard(const DiscardTcp& action, Instant now);
  void shutdown(TcpId /*id*/) {}
  void close(TcpId id) {
    if (serves(id)) pages_.erase(id.index);
  }

  [[nodiscard]] Instant next_deadline() const { return pages_.empty() ? kNever : next_check_; }
  void on_timer(Turn turn);

 private:
  struct Page {
    TcpId id;
    std::vector<std::uint8_t> head;
    std::vector<std::uint8_t> output;
    std::size_t read = 0;  // Of the output.
    bool answered = false;
    Instant until{};
  };

  TcpFlows& flows_;
  Answer answer_;
  std::unordered_map<std::uint32_t, Page> pages_;  // By the flow's index.
  Instant next_check_ = kNever;
};

}  // namespace sluice::flow
