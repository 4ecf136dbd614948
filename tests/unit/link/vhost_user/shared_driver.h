// A guest's driver of split rings in memory that it shares by a file, for tests: what it writes and
// reads, and descriptors for kicks and calls. Who tells the device of them derives from it.
#pragma once

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "virtio/net/features.h"
#include "wire/link/virtio_net.h"

namespace sluice::link::test {

class SharedDriver {
 public:
  static constexpr std::uint64_t kGuestBase = 0x4000'0000;
  static constexpr std::uint64_t kUserBase = 0x7f00'0000'0000;
  static constexpr std::size_t kMemory = 8 * 1024 * 1024;
  static constexpr std::uint16_t kRingSize = 64;
  static constexpr std::size_t kRings = 5;
  static constexpr std::size_t kHeader = wire::VirtioNetHeader::kSize;
  static constexpr std::size_t kBuffer = 2048;  // Of a receive queue.

  SharedDriver() {
    file_ = UniqueFd(::memfd_create("guest", MFD_CLOEXEC));
    EXPECT_EQ(::ftruncate(file_.get(), kMemory), 0);
    bytes_ = static_cast<std::uint8_t*>(
        ::mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0));
  }
  ~SharedDriver() { ::munmap(bytes_, kMemory); }
  SharedDriver(const SharedDriver&) = delete;
  SharedDriver& operator=(const SharedDriver&) = delete;

  void accept(virtio::FeatureSet features) { features_ = features; }
  // A ring that begins, with these descriptors.
  void begin_ring(std::size_t index, UniqueFd kick, UniqueFd call) {
    rings_[index] = Ring{.kick = std::move(kick), .call = std::move(call)};
    std::memset(bytes_ + at(index, kDescriptors), 0, kRingSpace);
  }
  // Where its parts lie, from the beginning of the memory.
  struct Places {
    std::uint64_t descriptors = 0;
    std::uint64_t available = 0;
    std::uint64_t used = 0;
  };
  [[nodiscard]] static Places places_of(std::size_t ring) {
    return {at(ring, kDescriptors), at(ring, kAvailable), at(ring, kUsed)};
  }

  // Kicks where the device asked for it; true then. `flags` are those of the
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

 protected:
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

  UniqueFd file_;
  std::uint8_t* bytes_ = nullptr;
  virtio::FeatureSet features_;
  std::array<Ring, kRings> rings_;
};

}  // namespace sluice::link::test
