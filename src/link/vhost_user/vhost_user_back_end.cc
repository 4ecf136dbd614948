#include "link/vhost_user/vhost_user_back_end.h"

#include <fmt/core.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "link/vhost_user/vhost_user_link.h"

namespace sluice::link {
namespace {

// What is watched; rings follow.
constexpr std::uint64_t kFrontEnds = 0;
constexpr std::uint64_t kConnection = 1;
constexpr std::uint64_t kWake = 2;
constexpr std::uint64_t kRings = 3;

// So many messages, and then frames have their turn.
constexpr std::size_t kMessagesAtOnce = 64;

[[nodiscard]] NetQueues::Setup setup_of(const VhostUserOptions& options, std::size_t workers) {
  return {.device = options.device, .workers = workers, .tell = options.tell};
}

}  // namespace

std::optional<sys::KernelFd> ListeningFrontEnds::take() {
  sys::Kernel& kernel = socket_.kernel();
  const int fd = kernel.accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return std::nullopt;
  return sys::KernelFd(kernel, fd);
}

std::expected<VhostUserBackEnd::Seat, sys::SysError> VhostUserBackEnd::open_seat(
    sys::Kernel& kernel) {
  auto loop = sys::EventLoop::create(kernel);
  if (!loop) return std::unexpected(loop.error());
  sys::KernelFd more(kernel, ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  sys::KernelFd call(kernel, ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!more.valid() || !call.valid()) return std::unexpected(sys::last_error(sys::SysOp::kOpen));
  if (auto added = loop->add(more.get(), EPOLLIN, kWake); !added) {
    return std::unexpected(added.error());
  }
  // An event for each call.
  if (auto added = loop->add(call.get(), EPOLLIN | EPOLLET, kWake); !added) {
    return std::unexpected(added.error());
  }
  const int fd = loop->fd();
  return Seat{.loop = std::move(*loop), .fd = fd, .more = std::move(more), .call = std::move(call)};
}

std::expected<std::unique_ptr<VhostUserBackEnd>, sys::SysError> VhostUserBackEnd::create(
    sys::Kernel& kernel, std::unique_ptr<FrontEnds> front_ends, VhostUserOptions options) {
  const std::size_t workers = std::clamp<std::size_t>(
      options.workers, 1, std::max<std::size_t>(options.device.queue_pairs_max, 1));
  std::deque<Seat> seats;
  for (std::size_t i = 0; i < workers; ++i) {
    auto seat = open_seat(kernel);
    if (!seat) return std::unexpected(seat.error());
    seats.push_back(std::move(*seat));
  }
  if (auto added = seats.front().loop.add(front_ends->descriptor(), EPOLLIN, kFrontEnds); !added) {
    return std::unexpected(added.error());
  }
  return std::unique_ptr<VhostUserBackEnd>(
      new VhostUserBackEnd(kernel, std::move(front_ends), std::move(options), std::move(seats)));
}

VhostUserBackEnd::VhostUserBackEnd(sys::Kernel& kernel, std::unique_ptr<FrontEnds> front_ends,
                                   VhostUserOptions options, std::deque<Seat> seats)
    : kernel_(&kernel),
      front_ends_(std::move(front_ends)),
      options_(std::move(options)),
      config_(virtio::net_config(options_.device, virtio::LinkState::kUp)),
      seats_(std::move(seats)),
      queues_(kernel, *this, setup_of(options_, seats_.size())) {
  front_ends_->expect();
}

VhostUserBackEnd::~VhostUserBackEnd() {
  if (peer_) peer_->session.end();
}

std::unique_ptr<Link> VhostUserBackEnd::link(std::size_t worker) {
  return std::make_unique<VhostUserLink>(*this, worker);
}

void VhostUserBackEnd::take_events(std::size_t worker) {
  std::array<epoll_event, 32> events;
  const std::size_t count = seats_[worker].loop.wait(events, Instant{}, Instant{}).value_or(0);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t what = events[i].data.u64;
    if (what == kFrontEnds) {
      on_front_end();
    } else if (what == kConnection) {
      on_messages();
    } else if (what >= kRings) {
      queues_.on_kick(worker, what - kRings);
    }
  }
}

// One at a time: the next waits in the queue of the socket, which is not looked at meanwhile.
void VhostUserBackEnd::on_front_end() {
  if (peer_ || gone_) return;
  auto socket = front_ends_->take();
  if (!socket) return;
  sys::EventLoop& loop = seats_.front().loop;
  (void)loop.remove(front_ends_->descriptor());
  if (!loop.add(socket->get(), EPOLLIN, kConnection)) {
    await_front_end();
    return;
  }
  const VhostOffer offer{.features = virtio::offered_features(options_.device).bits(),
                         .pairs = options_.device.queue_pairs_max,
                         .regions_max = kVhostRegionsMax,
                         .config = config_};
  peer_.emplace(std::move(*socket), offer, queues_);
  options_.note("a front-end is there");
}

void VhostUserBackEnd::on_messages() {
  for (std::size_t i = 0; peer_ && i < kMessagesAtOnce; ++i) {
    auto received = peer_->connection.receive();
    if (!received) {
      end_session(received.error());
      return;
    }
    if (!*received) return;
    const VhostMessage& message = (*received)->message;
    const auto answer = [&] {
      const NetQueues::Exclusive all(queues_);
      return peer_->session.on_message(message, std::move((*received)->descriptors));
    }();
    if (const std::string& why = peer_->session.refused(); answer && !why.empty()) {
      options_.note(fmt::format("{} is refused: {}", to_string(message.request), why));
    }
    if (!answer) {
      end_session(fmt::format("{}: {}", to_string(message.request), answer.error().why));
    } else if (*answer && !peer_->connection.send(**answer, peer_->session.take_descriptor())) {
      end_session("it takes no answers");
    }
  }
}

[[gnu::cold]] void VhostUserBackEnd::end_session(const std::string& why) {
  if (!peer_) return;
  {
    const NetQueues::Exclusive all(queues_);
    peer_->session.end();
    peer_.reset();
    queues_.forget();
  }
  if (why.empty()) {
    options_.note("the front-end went away");
  } else {
    options_.tell(fmt::format("the front-end's session is over: {}", why));
  }
  if (!options_.one_off) {
    await_front_end();
    return;
  }
  gone_ = true;
  for (std::size_t worker = 1; worker < seats_.size(); ++worker) wake(worker);
}

void VhostUserBackEnd::await_front_end() {
  front_ends_->expect();
  (void)seats_.front().loop.add(front_ends_->descriptor(), EPOLLIN, kFrontEnds);
}

// An event for each time it becomes readable: the descriptor need not be read.
bool VhostUserBackEnd::watch(std::size_t worker, std::size_t ring, int fd) {
  return seats_[worker].loop.add(fd, EPOLLIN | EPOLLET, kRings + ring).has_value();
}

void VhostUserBackEnd::unwatch(std::size_t worker, int fd) { (void)seats_[worker].loop.remove(fd); }

void VhostUserBackEnd::wake(std::size_t worker) {
  const std::uint64_t one = 1;
  (void)kernel_->write(seats_[worker].call.get(), &one, sizeof one);
}

void VhostUserBackEnd::set_awake(std::size_t worker, bool awake) {
  Seat& seat = seats_[worker];
  if (awake == seat.awake) return;
  seat.awake = awake;
  std::uint64_t count = 1;
  if (awake) {
    (void)kernel_->write(seat.more.get(), &count, sizeof count);
  } else {
    (void)kernel_->read(seat.more.get(), &count, sizeof count);
  }
}

}  // namespace sluice::link
