// The sessions of one part of a worker for whoever looks on, page by page, and one by its number.
// Walks a slab: for people's requests, never where bytes move.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/slab.h"
#include "forward/session/session_record.h"

namespace sluice::forward {

// Where a page ends that is the last one.
inline constexpr std::uint32_t kNoMoreSessions = 0xffff'ffff;

// From the place `from` on, until there are `most`.
struct SessionRange {
  std::uint32_t from = 0;
  std::size_t most = 0;
};

// Appends records, until `out` has as many as the range says. Returns where to go on: what
// lives throughout is told exactly once. `record_of` makes a record of a session, or nothing.
template <typename Session, typename RecordOf>
[[nodiscard]] std::uint32_t list_sessions(Slab<Session>& sessions, SessionRange range,
                                          std::vector<SessionRecord>& out,
                                          const RecordOf& record_of) {
  for (std::uint32_t i = range.from; i < sessions.capacity(); ++i) {
    const Session* const session = sessions.find(sessions.handle_of(i));
    if (session == nullptr) continue;
    if (out.size() >= range.most) return i;
    std::optional<SessionRecord> record = record_of(*session);
    if (record) out.push_back(std::move(*record));
  }
  return kNoMoreSessions;
}

// Not valid: there is none that fits.
template <typename Session, typename Fits>
[[nodiscard]] SlabHandle session_numbered(Slab<Session>& sessions, const Fits& fits) {
  SlabHandle found;
  sessions.for_each([&](SlabHandle handle, const Session& session) {
    if (fits(session)) found = handle;
  });
  return found;
}

}  // namespace sluice::forward
