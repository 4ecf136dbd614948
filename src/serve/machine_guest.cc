#include "serve/machine_guest.h"

#include <fmt/core.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/overloaded.h"
#include "serve/front_end_dialer.h"
#include "serve/given_front_end.h"
#include "service/daemon.h"
#include "sys/sys_error.h"
#include "telemetry/log.h"

namespace sluice::serve {
namespace {

using link::ChannelEnd;
using link::PeerNews;

void tell_end(const ChannelEnd& end) {
  switch (end.why) {
    case ChannelEnd::Why::kClosed: telemetry::log_info("the guest has left"); return;
    case ChannelEnd::Why::kError:
      telemetry::log_warn("the guest's connection failed: {}", sys::errno_text(end.error));
      return;
    case ChannelEnd::Why::kBadLength:
      telemetry::log_warn(
          "the guest's connection is closed: a frame cannot have {} bytes ({} to {}); expected "
          "each frame with its length before it, 32 bits, big-endian, as QEMU's '-netdev stream' "
          "sends them",
          end.length, link::kFrameMin, link::kFrameMax);
      return;
  }
}

void tell(const PeerNews& news) {
  switch (news.what) {
    case PeerNews::What::kCame:
      if (news.address.empty()) {
        telemetry::log_info("a guest has come");
      } else {
        telemetry::log_info("a guest has come, from '{}'", news.address);
      }
      return;
    case PeerNews::What::kWent: tell_end(news.end); return;
    case PeerNews::What::kTurnedAway:
      telemetry::log_warn(
          "a second guest was turned away: one is served at a time; start another 'sluice vm' "
          "with a socket of its own");
      return;
    case PeerNews::What::kNameless:
      telemetry::log_warn(
          "frames come from a datagram socket without a name, which cannot be answered; its owner "
          "must bind() it to a path");
      return;
    case PeerNews::What::kRefused:
      if (news.end.error == EACCES || news.end.error == EPERM) {
        telemetry::log_warn(
            "the guest cannot be answered: {}; its socket must be one that this user may write",
            sys::errno_text(news.end.error));
      } else {
        telemetry::log_info("the guest has left: {}", sys::errno_text(news.end.error));
      }
      return;
    case PeerNews::What::kNotTaken:
      telemetry::log_warn("a guest could not be accepted: {}", sys::errno_text(news.end.error));
      return;
  }
}

using Role = MachineVhostUser::Role;

// The file that is made for the link; empty: none is.
[[nodiscard]] std::string path_of(const MachineLink& link) {
  return std::visit(Overloaded{[](const MachineSocketPath& place) { return place.path; },
                               [](const MachineVhostUser& place) {
                                 return place.role == Role::kListen ? place.path : std::string();
                               },
                               [](const MachineDescriptor&) { return std::string(); }},
                    link);
}

[[nodiscard]] std::expected<link::FrameSocket, sys::SetupError> take_front_end(sys::Kernel& kernel,
                                                                               int fd) {
  auto socket = link::take_frame_socket(kernel, fd);
  if (socket && socket->kind != link::FrameSocketKind::kStream) {
    return std::unexpected(sys::SetupError{fmt::format("descriptor {}", fd), EPROTOTYPE,
                                           "front-ends speak by a stream socket"});
  }
  return socket;
}

}  // namespace

std::expected<void, sys::SetupError> MachineGuest::begin(const GuestSetting& setting) {
  mac_ = setting.network.guest_mac;
  mtu_ = setting.network.mtu;
  workers_ = setting.workers;
  if (auto opened = open_socket(sys::real_kernel()); !opened) return opened;
  return keep_files();
}

std::expected<void, sys::SetupError> MachineGuest::open_socket(sys::Kernel& kernel) {
  if (const auto* const place = std::get_if<MachineVhostUser>(&plan_.link);
      place != nullptr && place->role == Role::kConnect) {
    auto dialer = FrontEndDialer::start(kernel, place->path);
    if (!dialer) return std::unexpected(dialer.error());
    front_ends_ = std::move(*dialer);
    telemetry::log_info("waiting for a front-end that listens at '{}'", place->path);
    return {};
  }
  auto socket =
      std::visit(Overloaded{[&](const MachineSocketPath& place) {
                              return link::open_frame_socket(kernel, place.kind, place.path);
                            },
                            [&](const MachineVhostUser& place) {
                              return place.role == Role::kGiven
                                         ? take_front_end(kernel, place.fd)
                                         : link::open_frame_socket(
                                               kernel, link::FrameSocketKind::kStream, place.path);
                            },
                            [&](const MachineDescriptor& given) {
                              return link::take_frame_socket(kernel, given.fd);
                            }},
                 plan_.link);
  if (!socket) return std::unexpected(socket.error());
  socket_.emplace(std::move(*socket));
  return {};
}

std::expected<void, sys::SetupError> MachineGuest::keep_files() {
  const std::string path = path_of(plan_.link);
  sys::BoundPath made(path);
  std::optional<service::PidFile> pid_file;
  if (!plan_.pid_file.empty()) {
    auto written = service::PidFile::write(plan_.pid_file);
    if (!written) {
      return std::unexpected(sys::SetupError{fmt::format("--pid-file: write '{}'", plan_.pid_file),
                                             written.error().error, ""});
    }
    pid_file = std::move(*written);
  }
  auto file = SocketFile::keep(std::move(made), std::move(pid_file));
  if (!file) return std::unexpected(file.error());
  file_ = std::move(*file);
  if (!path.empty()) telemetry::log_info("waiting for a guest at '{}'", path);
  return {};
}

std::expected<MachineGuest::Links, sys::SysError> MachineGuest::open_links(sys::Kernel& kernel) {
  const auto* const vhost_user = std::get_if<MachineVhostUser>(&plan_.link);
  if (vhost_user != nullptr) return open_queues(kernel, *vhost_user);
  auto link =
      link::SocketLink::create(kernel, std::move(*socket_), {.guests = plan_.guests, .tell = tell});
  if (!link) return std::unexpected(link.error());
  Links links;
  links.push_back(std::move(*link));
  return links;
}

std::expected<MachineGuest::Links, sys::SysError> MachineGuest::open_queues(
    sys::Kernel& kernel, const MachineVhostUser& vhost_user) {
  link::VhostUserOptions options;
  options.device.mac = mac_;
  options.device.mtu = mtu_;
  options.device.queue_pairs_max = vhost_user.queues;
  options.workers = workers_;
  // Nobody else comes by a socket that has its peer.
  const bool alone = socket_ && socket_->connected;
  options.one_off = alone || plan_.guests == link::Guests::kOnlyOne;
  options.tell = [](const std::string& line) { telemetry::log_warn("{}", line); };
  options.note = [](const std::string& line) { telemetry::log_info("{}", line); };
  if (alone) {
    front_ends_ = std::make_unique<GivenFrontEnd>(std::move(socket_->socket));
  } else if (!front_ends_) {
    front_ends_ = std::make_unique<link::ListeningFrontEnds>(std::move(socket_->socket));
  }
  auto back_end =
      link::VhostUserBackEnd::create(kernel, std::move(front_ends_), std::move(options));
  if (!back_end) return std::unexpected(back_end.error());
  back_end_ = std::move(*back_end);
  Links links;
  for (std::size_t worker = 0; worker < back_end_->workers(); ++worker) {
    links.push_back(back_end_->link(worker));
  }
  return links;
}

std::expected<GuestEnds, sys::SetupError> MachineGuest::await(sys::Kernel& kernel) {
  auto opened = open_links(kernel);
  socket_.reset();
  if (!opened) {
    return std::unexpected(
        sys::SetupError{std::string(sys::name_of(opened.error().op)), opened.error().error, ""});
  }
  GuestEnds ends;
  ends.links = std::move(*opened);
  return ends;
}

std::expected<void, sys::SetupError> MachineGuest::start() {
  if (plan_.ready) plan_.ready();
  return {};
}

std::vector<int> MachineGuest::descriptors() const {
  // An end is told again and again, once it came.
  return {exit_status_ ? -1 : plan_.until};
}

void MachineGuest::on_ready(std::size_t /*place*/) {
  telemetry::log_info("ending, as --exit-fd was closed");
  exit_status_ = 0;
}

void MachineGuest::on_signal(const signalfd_siginfo& info) {
  telemetry::log_info("ending, as asked to by SIG{}",
                      ::sigabbrev_np(static_cast<int>(info.ssi_signo)));
  exit_status_ = 0;
}

void MachineGuest::on_link_gone() { exit_status_ = 0; }

}  // namespace sluice::serve
