// A front-end and its guest's driver, for tests: shares memory of its own, sets up split rings by
// messages over a real socket, and then is the driver of them (shared_driver.h).
#pragma once

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "link/vhost_user/messages.h"
#include "link/vhost_user/session.h"
#include "sys/control_message.h"
#include "unit/link/vhost_user/shared_driver.h"

namespace sluice::link::test {

// Runs the other side: it answers only when it is called.
using Pump = std::function<void()>;

// An answer, with what went along.
struct AnswerBytes {
  std::vector<std::uint8_t> bytes;
  std::vector<UniqueFd> descriptors;
};
[[nodiscard]] inline AnswerBytes receive_answer(int socket) {
  std::vector<std::uint8_t> in(kVhostMessageMax);
  iovec part{.iov_base = in.data(), .iov_len = in.size()};
  alignas(cmsghdr) std::array<std::uint8_t, 64> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = ::recvmsg(socket, &message, MSG_DONTWAIT);
  if (got < 0) return {};
  in.resize(static_cast<std::size_t>(got));
  return {std::move(in), sys::take_descriptors(message)};
}

class FrontEnd : public SharedDriver {
 public:
  FrontEnd(UniqueFd socket, Pump pump) : pump_(std::move(pump)), socket_(std::move(socket)) {}

  // A request, and the answer to it where there is one.
  void send(VhostRequest request, const VhostPayload& payload = {}, std::vector<int> fds = {},
            bool need_reply = false) {
    std::array<std::uint8_t, kVhostMessageMax> out{};
    const std::size_t size =
        emit_vhost_message({request, need_reply, payload}, VhostKind::kRequest, out);
    send_bytes(ByteView(out).first(size), fds);
  }
  void send_bytes(ByteView bytes, std::span<const int> fds = {}) {
    iovec part{.iov_base = const_cast<std::uint8_t*>(bytes.data()), .iov_len = bytes.size()};
    alignas(cmsghdr) std::array<std::uint8_t, 512> control{};
    sys::ControlWriter writer(control);
    writer.add_descriptors(fds);
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    writer.attach_to(message);
    EXPECT_EQ(::sendmsg(socket_.get(), &message, MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    pump_();
  }
  // The number in the answer that came, or nothing.
  [[nodiscard]] std::optional<std::uint64_t> answer() {
    std::array<std::uint8_t, kVhostMessageMax> in{};
    const ssize_t size = ::recv(socket_.get(), in.data(), in.size(), MSG_DONTWAIT);
    if (size < static_cast<ssize_t>(kVhostHeaderSize + 8)) return std::nullopt;
    std::uint64_t number = 0;
    std::memcpy(&number, in.data() + kVhostHeaderSize, sizeof number);
    return number;
  }
  // Whether the other side has ended the session.
  [[nodiscard]] bool ended() const {
    std::uint8_t byte = 0;
    return ::recv(socket_.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
  }
  void close() {
    socket_.reset();
    pump_();
  }

  // Has another at its other end, and says all to it again; its memory and rings are as they were.
  void reconnect(UniqueFd socket) { left_.push_back(std::exchange(socket_, std::move(socket))); }
  void set_pump(Pump pump) { pump_ = std::move(pump); }
  void spoil_inflight() const {
    const std::vector<std::uint8_t> nonsense(4096, 0xff);
    EXPECT_EQ(::pwrite(inflight_file_.get(), nonsense.data(), nonsense.size(), 0), 4096);
  }
  // Memory in which it is noted what of so many rings is in flight.
  void ask_for_inflight(std::uint16_t rings) {
    send(VhostRequest::kGetInflightFd, VhostInflight{.queues = rings, .queue_size = kRingSize});
    auto [in, descriptors] = receive_answer(socket_.get());
    ASSERT_EQ(in.size(), kVhostHeaderSize + 24U);
    ASSERT_EQ(descriptors.size(), 1U);
    inflight_file_ = std::move(descriptors.front());
    inflight_ = {.queues = rings, .queue_size = kRingSize};
    std::memcpy(&inflight_.size, in.data() + kVhostHeaderSize, sizeof inflight_.size);
    std::memcpy(&inflight_.offset, in.data() + kVhostHeaderSize + 8, sizeof inflight_.offset);
  }
  void send_inflight() { send(VhostRequest::kSetInflightFd, inflight_, {inflight_file_.get()}); }

  void negotiate(virtio::FeatureSet features) {
    accept(features);
    send(VhostRequest::kSetProtocolFeatures, VhostNumber{VhostProtocol::kReplyAck});
    send(VhostRequest::kSetFeatures, VhostNumber{features.bits() | kVhostProtocolFeatures});
  }
  void share_memory() {
    VhostTable table{.count = 1};
    table.regions[0] = {
        .guest_address = kGuestBase, .size = kMemory, .user_address = kUserBase, .offset = 0};
    send(VhostRequest::kSetMemTable, table, {file_.get()});
  }
  // From its first entry on, as a driver that was just loaded.
  void start_ring(std::uint32_t index) {
    begin_ring(index, UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
               UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)));
    resume_ring(index, 0);
  }
  void resume_ring(std::uint32_t index, std::uint32_t base) {
    const auto number = static_cast<std::uint8_t>(index);
    send(VhostRequest::kSetVringNum, VhostVringState{index, kRingSize});
    send(VhostRequest::kSetVringBase, VhostVringState{index, base});
    send(VhostRequest::kSetVringAddr,
         VhostVringAddress{.index = index,
                           .descriptors = kUserBase + at(index, kDescriptors),
                           .used = kUserBase + at(index, kUsed),
                           .available = kUserBase + at(index, kAvailable)});
    send(VhostRequest::kSetVringCall, VhostVringFd{number, true}, {rings_[index].call.get()});
    send(VhostRequest::kSetVringKick, VhostVringFd{number, true}, {rings_[index].kick.get()});
    // Where the ring was refused, nobody is there any more.
    if (!ended()) send(VhostRequest::kSetVringEnable, VhostVringState{index, 1});
  }
  void start(virtio::FeatureSet features, std::uint32_t pairs = 1) {
    negotiate(features);
    share_memory();
    for (std::uint32_t ring = 0; ring < 2 * pairs; ++ring) start_ring(ring);
  }

 private:
  Pump pump_;
  UniqueFd socket_;
  std::vector<UniqueFd> left_;
  VhostInflight inflight_;
  UniqueFd inflight_file_;
};

}  // namespace sluice::link::test
