#include "link/vhost_user/vhost_user_link.h"

#include <fmt/core.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <utility>

namespace sluice::link {
namespace {

// What is watched; rings follow.
constexpr std::uint64_t kFrontEnds = 0;
constexpr std::uint64_t kConnection = 1;
constexpr std::uint64_t kWake = 2;
constexpr std::uint64_t kRings = 3;

// So many messages, and then frames have their turn.
constexpr std::size_t kMessagesAtOnce = 64;

}  // namespace

std::optional<sys::KernelFd> ListeningFrontEnds::take() {
  sys::Kernel& kernel = socket_.kernel();
  const int fd = kernel.accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return std::nullopt;
  return sys::KernelFd(kernel, fd);
}

std::expected<std::unique_ptr<VhostUserLink>, sys::SysError> VhostUserLink::create(
    sys::Kernel& kernel, std::unique_ptr<FrontEnds> front_ends, VhostUserOptions options) {
  auto loop = sys::EventLoop::create(kernel);
  if (!loop) return std::unexpected(loop.error());
  sys::KernelFd wake(kernel, ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake.valid()) return std::unexpected(sys::last_error(sys::SysOp::kOpen));
  if (auto added = loop->add(wake.get(), EPOLLIN, kWake); !added) {
    return std::unexpected(added.error());
  }
  if (auto added = loop->add(front_ends->descriptor(), EPOLLIN, kFrontEnds); !added) {
    return std::unexpected(added.error());
  }
  return std::unique_ptr<VhostUserLink>(
      new VhostUserLink(kernel, std::move(front_ends), std::move(options),
                        Opened{std::move(*loop), std::move(wake)}));
}

VhostUserLink::VhostUserLink(sys::Kernel& kernel, std::unique_ptr<FrontEnds> front_ends,
                             VhostUserOptions options, Opened opened)
    : kernel_(&kernel),
      front_ends_(std::move(front_ends)),
      options_(std::move(options)),
      config_(virtio::net_config(options_.device, virtio::LinkState::kUp)),
      loop_(std::move(opened.loop)),
      fd_(loop_.fd()),
      wake_(std::move(opened.wake)),
      queues_(kernel, options_.device, *this, options_.tell) {
  front_ends_->expect();
}

VhostUserLink::~VhostUserLink() {
  if (peer_) peer_->session.end();
}

Link::Burst VhostUserLink::read_burst(Depth /*depth*/) {
  queues_.release();
  burst_.clear();
  take_events();
  queues_.read(burst_);
  if (queues_.broken()) [[unlikely]] {
    end_session("its memory was cut short");
    burst_.clear();
  }
  const bool more = queues_.may_have_more();
  set_awake(more);
  return {burst_.frames(), !burst_.full(), gone_};
}

std::size_t VhostUserLink::write(const wire::FrameBatch& batch) {
  const std::size_t lost = queues_.write(batch);
  // The session ends where messages are read: nothing of it is in use there.
  if (queues_.broken()) [[unlikely]]
    set_awake(true);
  return lost;
}

void VhostUserLink::flush() { queues_.release(); }

void VhostUserLink::take_events() {
  std::array<epoll_event, 32> events;
  const std::size_t count = loop_.wait(events, Instant{}, Instant{}).value_or(0);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t what = events[i].data.u64;
    if (what == kFrontEnds) {
      on_front_end();
    } else if (what == kConnection) {
      on_messages();
    } else if (what >= kRings) {
      queues_.on_kick(what - kRings);
    }
  }
}

// One at a time: the next waits in the queue of the socket, which is not looked at meanwhile.
void VhostUserLink::on_front_end() {
  if (peer_ || gone_) return;
  auto socket = front_ends_->take();
  if (!socket) return;
  (void)loop_.remove(front_ends_->descriptor());
  if (!loop_.add(socket->get(), EPOLLIN, kConnection)) {
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

void VhostUserLink::on_messages() {
  for (std::size_t i = 0; peer_ && i < kMessagesAtOnce; ++i) {
    auto received = peer_->connection.receive();
    if (!received) {
      end_session(received.error());
      return;
    }
    if (!*received) return;
    const VhostMessage& message = (*received)->message;
    const auto answer = peer_->session.on_message(message, std::move((*received)->descriptors));
    if (const std::string& why = peer_->session.refused(); answer && !why.empty()) {
      options_.note(fmt::format("{} is refused: {}", to_string(message.request), why));
    }
    if (!answer) {
      end_session(fmt::format("{}: {}", to_string(message.request), answer.error().why));
    } else if (*answer && !peer_->connection.send(**answer)) {
      end_session("it takes no answers");
    }
  }
}

[[gnu::cold]] void VhostUserLink::end_session(const std::string& why) {
  if (!peer_) return;
  peer_->session.end();
  peer_.reset();
  queues_.forget();
  if (why.empty()) {
    options_.note("the front-end went away");
  } else {
    options_.tell(fmt::format("the front-end's session is over: {}", why));
  }
  gone_ = options_.one_off;
  if (!gone_) await_front_end();
}

void VhostUserLink::await_front_end() {
  front_ends_->expect();
  (void)loop_.add(front_ends_->descriptor(), EPOLLIN, kFrontEnds);
}

// An event for each time it becomes readable: the descriptor need not be read.
bool VhostUserLink::watch(std::size_t ring, int fd) {
  return loop_.add(fd, EPOLLIN | EPOLLET, kRings + ring).has_value();
}

void VhostUserLink::set_awake(bool awake) {
  if (awake == awake_) return;
  awake_ = awake;
  std::uint64_t count = 1;
  if (awake) {
    (void)kernel_->write(wake_.get(), &count, sizeof count);
  } else {
    (void)kernel_->read(wake_.get(), &count, sizeof count);
  }
}

}  // namespace sluice::link
