#include "serve/machine_guest.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/overloaded.h"
#include "serve/front_end_dialer.h"
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

// The file that is made for the link, if one is.
[[nodiscard]] const std::string* path_of(const MachineLink& link) {
  return std::visit(
      Overloaded{[](const MachineSocketPath& place) { return &place.path; },
                 [](const MachineVhostUser& place) { return &place.path; },
                 [](const MachineDescriptor&) -> const std::string* { return nullptr; }},
      link);
}

}  // namespace

std::expected<void, sys::SetupError> MachineGuest::begin(const GuestSetting& setting) {
  mac_ = setting.network.guest_mac;
  mtu_ = setting.network.mtu;
  workers_ = setting.workers;
  sys::Kernel& kernel = sys::real_kernel();
  if (const auto* const place = std::get_if<MachineVhostUser>(&plan_.link);
      place != nullptr && place->role == MachineVhostUser::Role::kConnect) {
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
                              return link::open_frame_socket(kernel, link::FrameSocketKind::kStream,
                                                             place.path);
                            },
                            [&](const MachineDescriptor& given) {
                              return link::take_frame_socket(kernel, given.fd);
                            }},
                 plan_.link);
  if (!socket) return std::unexpected(socket.error());
  socket_.emplace(std::move(*socket));
  const std::string* const path = path_of(plan_.link);
  if (path == nullptr) return {};
  auto file = SocketFile::keep(sys::BoundPath(*path));
  if (!file) return std::unexpected(file.error());
  file_ = std::move(*file);
  telemetry::log_info("waiting for a guest at '{}'", *path);
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
  options.one_off = plan_.guests == link::Guests::kOnlyOne;
  options.tell = [](const std::string& line) { telemetry::log_warn("{}", line); };
  options.note = [](const std::string& line) { telemetry::log_info("{}", line); };
  if (!front_ends_) {
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

void MachineGuest::on_signal(const signalfd_siginfo& info) {
  telemetry::log_info("ending, as asked to by SIG{}",
                      ::sigabbrev_np(static_cast<int>(info.ssi_signo)));
  exit_status_ = 0;
}

void MachineGuest::on_link_gone() { exit_status_ = 0; }

}  // namespace sluice::serve
