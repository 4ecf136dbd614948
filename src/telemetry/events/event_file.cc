#include "telemetry/events/event_file.h"

#include <cerrno>
#include <utility>

#include "telemetry/private_file.h"

namespace sluice::telemetry {
namespace {

constexpr LineFileKind kEvents{.option = "--events: ", .content = "events", .mode = kPrivateFile};

}  // namespace

std::expected<EventFile, sys::SysError> EventFile::open(const std::string& path) {
  auto file = LineFile::open(path, kEvents);
  if (!file) return std::unexpected(file.error());
  return EventFile(std::move(*file));
}

std::expected<void, sys::SysError> EventFile::reopen(const std::string& path) {
  auto file = LineFile::open(path, kEvents);
  if (!file) return std::unexpected(file.error());
  flush();
  // The old one may have the beginning of a line, whose rest belongs there.
  if (!queue_.empty()) return std::unexpected(sys::SysError{sys::SysOp::kWrite, EAGAIN});
  file_ = std::move(*file);
  return {};
}

void EventFile::flush() {
  // Once more where the last line has made room for the word of what is missing.
  while (!queue_.empty()) {
    const std::size_t offered = queue_.pending().size();
    const std::uint64_t before = file_.lost();
    const std::size_t done = file_.offer(queue_.pending());
    // An error loses all that follows; else what is not taken is offered again.
    if (const std::uint64_t lost = file_.lost() - before; lost > 0) {
      queue_.taken_but(lost);
      return;
    }
    queue_.taken(done);
    if (done < offered) return;
  }
}

void EventFile::flush_if_due(Instant now) {
  if (queue_.pending().size() < kFlushSize && now < next_flush()) return;
  last_flush_ = now;
  flush();
}

}  // namespace sluice::telemetry
