// A front-end and its guest's driver, for tests: shares memory of its own, sets up split rings by
// messages over a real socket, and then is the driver of them.
#pragma once

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
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
#include "virtio/net/features.h"
#include "wire/link/virtio_net.h"

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

class FrontEnd {
 public:
  static constexpr std::uint64_t kGuestBase = 0x4000'0000;
  static constexpr std::uint64_t kUserBase = 0x7f00'0000'0000;
  static constexpr std::size_t kMemory = 8 * 1024 * 1024;
  static constexpr std::uint16_t kRingSize = 64;
  static constexpr std::size_t kRings = 5;
  static constexpr std::size_t kHeader = wire::VirtioNetHeader::kSize;
  static constexpr std::size_t kBuffer = 2048;  // Of a receive queue.

  FrontEnd(UniqueFd socket, Pump pump) : pump_(std::move(pump)), socket_(std::move(socket)) {
    file_ = UniqueFd(::memfd_create("guest", MFD_CLOEXEC));
    EXPECT_EQ(::ftruncate(file_.get(), kMemory), 0);
    bytes_ = static_cast<std::uint8_t*>(
        ::mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0));
  }
  ~FrontEnd() { ::munmap(bytes_, kMemory); }
  FrontEnd(const FrontEnd&) = delete;
  FrontEnd& operator=(const FrontEnd&) = delete;

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
    features_ = features;
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
    rings_[index] = Ring{};
    std::memset(bytes_ + at(index, kDescriptors), 0, kRingSpace);
    rings_[index].kick = UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    rings_[index].call = UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
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

  // The driver's side. Kicks where the device asked for it; true then. `flags` are those of the
  // virtio-net header. A frame that is larger than a buffer lies in the next ones as well.
  bool transmit(const std::string& frame, std::size_t ring = 1, std::uint8_t flags = 0) {
    const std::uint16_t slot = rings_[ring].available % kRingSize;
    std::uint8_t* const buffer = bytes_ + kData + (ring * kRingSize + slot) * kBuffer;
    std::memset(buffer, 0, kHeader);
    buffer[0] = flags;
    std::memcpy(buffer + kHeader, frame.data(), frame.size());
    describe(ring, slot, static_cast<std::uint32_t>(kHeader + frame.size()), 0);
    return make_available(ring, slot);
  }
  // Of the control queue: the bytes of a command, and a byte for the answer.
  void command(std::size_t ring, const std::vector<std::uint8_t>& bytes) {
    const std::uint16_t slot = rings_[ring].available % kRingSize;
    const auto next = static_cast<std::uint16_t>((slot + 1) % kRingSize);
    std::ranges::copy(bytes, bytes_ + kData + (ring * kRingSize + slot) * kBuffer);
    describe(ring, slot, static_cast<std::uint32_t>(bytes.size()), kNext, next);
    describe(ring, next, 1, kWrite);
    (void)make_available(ring, slot);
  }
  void offer_buffers(std::size_t count, std::size_t ring = 0) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint16_t slot = rings_[ring].available % kRingSize;
      describe(ring, slot, kBuffer, kWrite);
      (void)make_available(ring, slot);
    }
  }
  // Buffers that the device has used: their frames, put together from all parts.
  [[nodiscard]] std::vector<std::string> receive(std::size_t ring = 0) {
    std::vector<std::string> frames;
    std::size_t parts = 0;
    while (rings_[ring].used != load(at(ring, kUsed) + 2)) {
      const std::size_t entry = at(ring, kUsed) + 4 + 8 * (rings_[ring].used % kRingSize);
      const std::uint16_t slot = load(entry);
      const std::uint16_t length = load(entry + 4);
      const std::uint8_t* from = bytes_ + kData + (ring * kRingSize + slot) * kBuffer;
      std::size_t skip = 0;
      if (parts == 0) {
        parts = features_.has(virtio::Feature::kMrgRxbuf) ? from[10] : 1;
        skip = kHeader;
        frames.emplace_back();
      }
      frames.back().append(reinterpret_cast<const char*>(from) + skip, length - skip);
      --parts;
      ++rings_[ring].used;
    }
    if (features_.has(virtio::Feature::kEventIdx))
      store(at(ring, kAvailable) + 4 + 2 * kRingSize, rings_[ring].used);
    return frames;
  }
  [[nodiscard]] std::size_t transmitted(std::size_t ring = 1) const {
    return load(at(ring, kUsed) + 2);
  }
  // Chains that the device has and did not use.
  [[nodiscard]] std::size_t outstanding(std::size_t ring) const {
    return static_cast<std::uint16_t>(rings_[ring].available - load(at(ring, kUsed) + 2));
  }
  // How often it was called, since this was last asked.
  [[nodiscard]] std::uint64_t calls(std::size_t ring) const {
    std::uint64_t count = 0;
    return ::read(rings_[ring].call.get(), &count, sizeof count) == sizeof count ? count : 0;
  }
  void kick(std::size_t ring) {
    const std::uint64_t one = 1;
    EXPECT_EQ(::write(rings_[ring].kick.get(), &one, sizeof one), 8);
  }
  void cut_memory() const { EXPECT_EQ(::ftruncate(file_.get(), 0), 0); }
  [[nodiscard]] int memory_file() const { return file_.get(); }

  static constexpr std::uint16_t kNext = 1;
  static constexpr std::uint16_t kWrite = 2;
  struct Descriptor {
    std::uint64_t address = 0;
    std::uint32_t length = 0;
    std::uint16_t flags = 0;
    std::uint16_t next = 0;
  };
  // Whatever a driver should not write.
  void put_descriptor(std::size_t ring, std::uint16_t slot, const Descriptor& descriptor) {
    std::memcpy(bytes_ + at(ring, kDescriptors) + 16 * slot, &descriptor, sizeof descriptor);
  }
  bool make_available(std::size_t ring, std::uint16_t head) {
    Ring& state = rings_[ring];
    const std::uint16_t before = state.available;
    store(at(ring, kAvailable) + 4 + 2 * (state.available % kRingSize), head);
    store(at(ring, kAvailable) + 2, ++state.available);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    const bool wanted = features_.has(virtio::Feature::kEventIdx)
                            ? static_cast<std::uint16_t>(
                                  state.available - load(at(ring, kUsed) + 4 + 8 * kRingSize) - 1) <
                                  static_cast<std::uint16_t>(state.available - before)
                            : load(at(ring, kUsed)) == 0;
    if (wanted) kick(ring);
    return wanted;
  }
  void set_available(std::size_t ring, std::uint16_t index) {
    store(at(ring, kAvailable) + 2, index);
  }

 private:
  static constexpr std::size_t kRingSpace = 0x10000;
  static constexpr std::size_t kDescriptors = 0;
  static constexpr std::size_t kAvailable = 0x4000;
  static constexpr std::size_t kUsed = 0x8000;
  static constexpr std::size_t kData = kRings * kRingSpace;

  struct Ring {
    std::uint16_t available = 0;
    std::uint16_t used = 0;
    UniqueFd kick;
    UniqueFd call;
  };

  [[nodiscard]] static std::size_t at(std::size_t ring, std::size_t part) {
    return ring * kRingSpace + part;
  }
  [[nodiscard]] std::uint16_t load(std::size_t offset) const {
    return __atomic_load_n(reinterpret_cast<const std::uint16_t*>(bytes_ + offset),
                           __ATOMIC_ACQUIRE);
  }
  void store(std::size_t offset, std::uint16_t value) {
    __atomic_store_n(reinterpret_cast<std::uint16_t*>(bytes_ + offset), value, __ATOMIC_RELEASE);
  }
  void describe(std::size_t ring, std::uint16_t slot, std::uint32_t length, std::uint16_t flags,
                std::uint16_t next = 0) {
    const std::size_t buffer = kData + (ring * kRingSize + slot) * kBuffer;
    put_descriptor(ring, slot, {kGuestBase + buffer, length, flags, next});
  }

  Pump pump_;
  UniqueFd socket_;
  std::vector<UniqueFd> left_;
  VhostInflight inflight_;
  UniqueFd inflight_file_;
  UniqueFd file_;
  std::uint8_t* bytes_ = nullptr;
  virtio::FeatureSet features_;
  std::array<Ring, kRings> rings_;
};

}  // namespace sluice::link::test
