#include "box/fs/vhost_front_end.h"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "sys/control_message.h"

namespace sluice::box {
namespace {

constexpr std::uint32_t kVersionMask = 3;
constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kIsAnswer = 1U << 2;

struct AnswerHead {
  std::uint32_t request = 0;
  std::uint32_t flags = 0;
  std::uint32_t size = 0;
};
static_assert(sizeof(AnswerHead) == link::kVhostHeaderSize);

[[nodiscard]] std::unexpected<std::string> broken(link::VhostRequest request,
                                                  std::string_view why) {
  return std::unexpected(fmt::format("{}: {}", link::to_string(request), why));
}

[[nodiscard]] std::string why_not(int error) {
  switch (error) {
    case EAGAIN: return "it does not answer";
    case EPIPE:
    case ECONNRESET: return "it went away";
    default: return sys::errno_text(error);
  }
}

}  // namespace

std::expected<VhostFrontEnd, sys::SysError> VhostFrontEnd::over(sys::KernelFd socket) {
  const timeval patience{.tv_sec = kPatienceSeconds, .tv_usec = 0};
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    if (socket.kernel().setsockopt(socket.get(), SOL_SOCKET, option, &patience, sizeof patience) !=
        0) {
      return std::unexpected(sys::last_error(sys::SysOp::kSetSockOpt));
    }
  }
  return VhostFrontEnd(std::move(socket));
}

VhostFrontEnd::Done VhostFrontEnd::send(link::VhostRequest request,
                                        const link::VhostPayload& payload,
                                        std::span<const int> descriptors) {
  return send_message({request, false, payload}, descriptors);
}

VhostFrontEnd::Done VhostFrontEnd::send_and_hear(link::VhostRequest request,
                                                 const link::VhostPayload& payload,
                                                 std::span<const int> descriptors) {
  const auto sent = send_message({request, words_, payload}, descriptors);
  if (!sent || !words_) return sent;
  const auto answer = hear(request);
  if (!answer) return std::unexpected(answer.error());
  if (*answer != Answer{}) return broken(request, "it could not do that");
  return {};
}

VhostFrontEnd::Number VhostFrontEnd::get(link::VhostRequest request) {
  const auto sent = send(request, link::VhostNothing{});
  if (!sent) return std::unexpected(sent.error());
  const auto answer = hear(request);
  if (!answer) return std::unexpected(answer.error());
  std::uint64_t number = 0;
  std::memcpy(&number, answer->data(), sizeof number);
  return number;
}

std::expected<std::uint32_t, std::string> VhostFrontEnd::get_vring_base(std::uint32_t index) {
  constexpr auto kRequest = link::VhostRequest::kGetVringBase;
  const auto sent = send(kRequest, link::VhostVringState{index, 0});
  if (!sent) return std::unexpected(sent.error());
  const auto answer = hear(kRequest);
  if (!answer) return std::unexpected(answer.error());
  link::VhostVringState state;
  std::memcpy(&state.index, answer->data(), sizeof state.index);
  std::memcpy(&state.value, answer->data() + sizeof state.index, sizeof state.value);
  if (state.index != index) return broken(kRequest, "it answers for another ring");
  return state.value;
}

VhostFrontEnd::Done VhostFrontEnd::send_message(const link::VhostMessage& message,
                                                std::span<const int> descriptors) {
  std::array<std::uint8_t, link::kVhostMessageMax> out;
  const std::size_t size = link::emit_vhost_message(message, link::VhostKind::kRequest, out);
  iovec part{.iov_base = out.data(), .iov_len = size};
  msghdr head{};
  head.msg_iov = &part;
  head.msg_iovlen = 1;
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(link::kVhostTableMax * sizeof(int))>
      control{};
  sys::ControlWriter writer(control);
  writer.add_descriptors(descriptors);
  writer.attach_to(head);
  const ssize_t sent = socket_.kernel().sendmsg(socket_.get(), &head, MSG_NOSIGNAL);
  if (sent == static_cast<ssize_t>(size)) return {};
  return broken(message.request, sent < 0 ? why_not(errno) : "it takes only a part of it");
}

std::expected<VhostFrontEnd::Answer, std::string> VhostFrontEnd::hear(link::VhostRequest request) {
  std::array<std::uint8_t, link::kVhostHeaderSize + kAnswerSize> bytes{};
  for (std::size_t have = 0; have < bytes.size();) {
    iovec part{.iov_base = bytes.data() + have, .iov_len = bytes.size() - have};
    // No room for descriptors: none is asked for.
    msghdr head{};
    head.msg_iov = &part;
    head.msg_iovlen = 1;
    const ssize_t length =
        socket_.kernel().recvmsg(socket_.get(), &head, MSG_WAITALL | MSG_CMSG_CLOEXEC);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return broken(request, why_not(errno));
    if (length == 0) return broken(request, "it went away");
    have += static_cast<std::size_t>(length);
  }
  AnswerHead head;
  std::memcpy(&head, bytes.data(), sizeof head);
  if ((head.flags & kVersionMask) != kVersion || (head.flags & kIsAnswer) == 0 ||
      head.request != static_cast<std::uint32_t>(request) || head.size != kAnswerSize) {
    return broken(request, "its answer is another's");
  }
  Answer answer{};
  std::memcpy(answer.data(), bytes.data() + sizeof head, answer.size());
  return answer;
}

}  // namespace sluice::box
