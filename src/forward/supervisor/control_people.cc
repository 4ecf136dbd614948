#include "forward/supervisor/control_people.h"

#include <sys/types.h>

#include <charconv>
#include <cstdlib>
#include <optional>
#include <utility>

#include "base/unreachable.h"

namespace sluice::forward {
namespace {

// Of a process that has taken over, where the one before was started by another user than it ran
// as.
[[nodiscard]] std::optional<uid_t> owner_from_environment(bool is_upgrade) {
  const char* const value = std::getenv(kOwnerVariable);
  const std::string_view text = value == nullptr ? "" : value;
  uid_t owner = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), owner);
  const bool given =
      !text.empty() && error == std::errc{} && end == text.data() + text.size() && is_upgrade;
  if (!given) ::unsetenv(kOwnerVariable);
  return given ? std::optional(owner) : std::nullopt;
}

[[nodiscard]] std::string_view program_name(OutputStyle style) {
  switch (style) {
    case OutputStyle::kSluice: return "sluice forward";
    case OutputStyle::kRinetd: return "rinetd";
    case OutputStyle::kOi: return "oi";
  }
  unreachable("output style outside its enum");
}

}  // namespace

std::expected<void, std::string> ControlThread::ForPeople::open() {
  auto sight = Sight::open(thread_.kernel_, thread_.options_.events_file,
                           owner_from_environment(thread_.inherited_.is_upgrade()));
  if (!sight) return std::unexpected(std::move(sight.error()));
  thread_.sight_ = std::move(*sight);
  thread_.sight_->serve(*this, thread_.pool_->workers(),
                        std::string(program_name(thread_.options_.output_style)),
                        thread_.loop_.now());
  const int fd = thread_.sight_->fd();
  if (fd < 0) return {};
  const auto added = thread_.loop_.add(fd, EPOLLIN, ControlTag{ControlEvent::kControl}.pack());
  if (!added) return std::unexpected(added.error().describe());
  return {};
}

Forwarder::Status ControlThread::ForPeople::status() const {
  return {.state = thread_.draining_  ? "draining"
                   : thread_.serving_ ? "serving"
                                      : "starting",
          .rules = thread_.rules_,
          .listeners = thread_.listeners_->size(),
          .generation = thread_.generation_};
}

std::expected<ReloadDone, std::string> ControlThread::ForPeople::reload_by(std::string_view who) {
  if (auto read = thread_.reload(thread_.loop_.now(), who); !read) {
    std::string& why = read.error();
    why.erase(why.find_last_not_of('\n') + 1);
    return std::unexpected(std::move(why));
  }
  ReloadDone done{.rules = thread_.pending_->plan.rules.size(),
                  .opened = thread_.pending_->listeners.opened(),
                  .closed = thread_.pending_->listeners.closed(),
                  .generation = thread_.generation_ + 1,
                  .in_force = thread_.resolver_->settled()};
  // The workers have it before whatever is asked of them next.
  if (done.in_force) thread_.finish_install();
  return done;
}

}  // namespace sluice::forward
