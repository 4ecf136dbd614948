#include "link/vhost_user/connection.h"

#include <fmt/core.h>

#include <cerrno>
#include <iterator>
#include <utility>

#include "sys/control_message.h"
#include "sys/sys_error.h"

namespace sluice::link {
namespace {

[[nodiscard]] std::unexpected<std::string> broken(std::string_view request, VhostError error) {
  return std::unexpected(fmt::format("{}: {}", request, to_string(error)));
}

}  // namespace

// No byte beyond the message is asked for, as the descriptors of the next come with its first one.
std::expected<VhostConnection::Step, std::string> VhostConnection::fill(std::size_t until) {
  while (have_ < until) {
    iovec part{.iov_base = bytes_.data() + have_, .iov_len = until - have_};
    alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(kVhostTableMax * sizeof(int))> control;
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t length =
        socket_.kernel().recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0) {
      if (sys::would_block(errno)) return Step::kNotYet;
      return std::unexpected(sys::last_error(sys::SysOp::kReceive).describe());
    }
    if (length == 0) {
      return std::unexpected(std::string(have_ == 0 ? "" : "it went away within a message"));
    }
    std::vector<UniqueFd> came = sys::take_descriptors(message);
    if ((message.msg_flags & MSG_CTRUNC) != 0 ||
        came.size() + descriptors_.size() > kVhostTableMax) {
      return std::unexpected(std::string("more descriptors came than any message has"));
    }
    std::ranges::move(came, std::back_inserter(descriptors_));
    have_ += static_cast<std::size_t>(length);
  }
  return Step::kDone;
}

std::expected<std::optional<VhostConnection::Received>, std::string> VhostConnection::receive() {
  const auto head = fill(kVhostHeaderSize);
  if (!head) return std::unexpected(head.error());
  if (*head == Step::kNotYet) return std::nullopt;
  const auto header =
      parse_vhost_header(FixedView<kVhostHeaderSize>(bytes_.data(), kVhostHeaderSize));
  if (!header) return broken("a message", header.error());
  const auto rest = fill(kVhostHeaderSize + header->size);
  if (!rest) return std::unexpected(rest.error());
  if (*rest == Step::kNotYet) return std::nullopt;
  have_ = 0;
  const auto message = parse_vhost_message(
      *header, ByteView(bytes_).subspan(kVhostHeaderSize, header->size), descriptors_.size());
  if (!message) return broken(to_string(header->request), message.error());
  return Received{*message, std::exchange(descriptors_, {})};
}

bool VhostConnection::send(const VhostMessage& answer, const UniqueFd& descriptor) {
  std::array<std::uint8_t, kVhostMessageMax> out;
  const std::size_t size = emit_vhost_message(answer, VhostKind::kAnswer, out);
  iovec part{.iov_base = out.data(), .iov_len = size};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(int))> control{};
  sys::ControlWriter writer(control);
  if (const int fd = descriptor.get(); descriptor.valid()) writer.add_descriptors({&fd, 1});
  writer.attach_to(message);
  const ssize_t sent =
      socket_.kernel().sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent == static_cast<ssize_t>(size);
}

}  // namespace sluice::link
