#include "flow/engine/inside_pages.h"

#include <algorithm>
#include <string_view>

namespace sluice::flow {

void InsidePages::connect(TcpId id, Turn turn) {
  if (pages_.size() >= kPagesMax) {
    flows_.on_connect_failed(id, HostError::kRefused, turn);
    return;
  }
  const Instant until = turn.now + kPatience;
  next_check_ = pages_.empty() ? until : std::min(next_check_, until);
  pages_.insert_or_assign(id.index, Page{.id = id, .head = {}, .output = {}, .until = until});
  flows_.on_connected(id, kHeadMax, turn);
}

void InsidePages::write(const WriteTcp& action, Turn turn) {
  Page& page = pages_.at(action.flow.index);
  // What follows on a request is taken and forgotten.
  std::size_t taken = 0;
  for (std::uint32_t at = action.first_range; at != kNoRange; at = turn.out.range(at).next) {
    const ByteView range = turn.out.range(at).bytes;
    if (!page.answered) page.head.insert(page.head.end(), range.begin(), range.end());
    taken += range.size();
  }
  bool fresh = false;
  if (!page.answered) {
    const std::string_view text(reinterpret_cast<const char*>(page.head.data()), page.head.size());
    constexpr std::string_view kEnd = "\r\n\r\n";
    const std::size_t end = text.find(kEnd);
    if (end != std::string_view::npos || page.head.size() >= kHeadMax) {
      const std::size_t size = std::min(end, page.head.size() - kEnd.size()) + kEnd.size();
      page.output = answer_(ByteView(page.head).first(size));
      page.head = {};
      page.answered = fresh = true;
    }
  }
  const auto room = static_cast<std::uint32_t>(kHeadMax - std::min(kHeadMax, page.head.size()));
  const TcpId id = action.flow;
  flows_.on_written(id, {taken, 0, room}, turn);
  if (fresh) flows_.on_readable(id, true, turn);
}

void InsidePages::peek(const PeekTcp& action, Turn turn) {
  const Page& page = pages_.at(action.flow.index);
  const ByteView rest = ByteView(page.output).subspan(page.read);
  if (action.offset < rest.size()) {
    const ByteView from = rest.subspan(action.offset);
    const ByteView part = from.first(std::min<std::size_t>(from.size(), action.max));
    flows_.on_peeked(action.flow,
                     {action.sequence, PeekStatus::kData, part, part.size() < from.size()}, turn);
    return;
  }
  const PeekStatus status = page.answered ? PeekStatus::kEndOfStream : PeekStatus::kWouldBlock;
  flows_.on_peeked(action.flow, {action.sequence, status, {}, false}, turn);
}

void InsidePages::discard(const DiscardTcp& action, Instant now) {
  Page& page = pages_.at(action.flow.index);
  page.read = std::min<std::size_t>(page.read + action.bytes, page.output.size());
  page.until = now + kPatience;  // It is being read.
}

void InsidePages::on_timer(Turn turn) {
  std::vector<TcpId> late;
  next_check_ = kNever;
  for (const auto& [index, page] : pages_) {
    if (page.until <= turn.now) {
      late.push_back(page.id);
    } else {
      next_check_ = std::min(next_check_, page.until);
    }
  }
  for (const TcpId id : late) flows_.on_socket_lost(id, turn);
}

}  // namespace sluice::flow
