#include "link/vhost_user/vhost_user_back_end.h"

#include <fmt/core.h>

#include <utility>

namespace sluice::link {
namespace {

// What the first seat watches beside.
constexpr std::uint64_t kFrontEnds = Seat::kOwners;
constexpr std::uint64_t kConnection = Seat::kOwners + 1;

// So many messages, and then frames have their turn.
constexpr std::size_t kMessagesAtOnce = 64;

}  // namespace

std::optional<sys::KernelFd> ListeningFrontEnds::take() {
  sys::Kernel& kernel = socket_.kernel();
  const int fd = kernel.accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return std::nullopt;
  return sys::KernelFd(kernel, fd);
}

std::expected<std::unique_ptr<VhostUserBackEnd>, sys::SysError> VhostUserBackEnd::create(
    sys::Kernel& kernel, std::unique_ptr<FrontEnds> front_ends, VhostUserOptions options) {
  auto seats = open_seats(kernel, options.workers, options.device);
  if (!seats) return std::unexpected(seats.error());
  const int front_end = front_ends->descriptor();
  if (auto added = seats->front().loop().add(front_end, EPOLLIN, kFrontEnds); !added) {
    return std::unexpected(added.error());
  }
  return std::unique_ptr<VhostUserBackEnd>(
      new VhostUserBackEnd(kernel, std::move(front_ends), std::move(options), std::move(*seats)));
}

VhostUserBackEnd::VhostUserBackEnd(sys::Kernel& kernel, std::unique_ptr<FrontEnds> front_ends,
                                   VhostUserOptions options, std::deque<Seat> seats)
    : NetBackEnd(kernel, std::move(seats), options.device, options.tell),
      front_ends_(std::move(front_ends)),
      options_(std::move(options)),
      config_(virtio::net_config(options_.device, virtio::LinkState::kUp)) {
  front_ends_->expect();
}

VhostUserBackEnd::~VhostUserBackEnd() {
  if (peer_) peer_->session.end();
}

void VhostUserBackEnd::on_event(std::uint64_t what) {
  if (what == kFrontEnds) {
    on_front_end();
  } else if (what == kConnection) {
    on_messages();
  }
}

// One at a time: the next waits in the queue of the socket, which is not looked at meanwhile.
void VhostUserBackEnd::on_front_end() {
  if (peer_ || gone()) return;
  auto socket = front_ends_->take();
  if (!socket) return;
  sys::EventLoop& loop = first_seat().loop();
  (void)loop.remove(front_ends_->descriptor());
  if (!loop.add(socket->get(), EPOLLIN, kConnection)) {
    await_front_end();
    return;
  }
  const VhostOffer offer{.features = virtio::offered_features(options_.device).bits(),
                         .pairs = options_.device.queue_pairs_max,
                         .regions_max = kVhostRegionsMax,
                         .config = config_};
  peer_.emplace(std::move(*socket), offer, queues());
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
      const NetQueues::Exclusive all(queues());
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
    const NetQueues::Exclusive all(queues());
    peer_->session.end();
    peer_.reset();
    queues().forget();
  }
  if (why.empty()) {
    options_.note("the front-end went away");
  } else {
    options_.tell(fmt::format("the front-end's session is over: {}", why));
  }
  if (options_.one_off) {
    set_gone();
  } else {
    await_front_end();
  }
}

void VhostUserBackEnd::await_front_end() {
  front_ends_->expect();
  (void)first_seat().loop().add(front_ends_->descriptor(), EPOLLIN, kFrontEnds);
}

}  // namespace sluice::link
