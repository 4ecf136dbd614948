// Packet sockets on the loopback of a namespace of our own, where what is sent comes back.
#include "link/packet/packet_socket.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "link/packet/packet_link.h"
#include "unit/sys/loopback.h"

namespace sluice::link {
namespace {

using Depth = Link::Depth;

constexpr std::uint32_t kLoopback = 1;

std::unique_ptr<PacketLink> link_of(PacketSockets& opened, std::size_t queue, std::size_t queues) {
  std::array pair{std::move(opened.sockets[2 * queue]), std::move(opened.sockets[2 * queue + 1])};
  auto link = PacketLink::create(sys::real_kernel(), std::move(pair), rings_of(queues),
                                 {.checksum = true, .tso = true, .uso = opened.udp_batches});
  return link ? std::move(*link) : nullptr;
}

// Frames that nobody on the loopback answers, each of one byte over and over behind the Ethernet
// header, which is one of zeros.
void add(wire::FrameBatch& batch, std::uint8_t byte, std::size_t size) {
  std::ranges::fill(batch.add(size, {}, {}).subspan(14), byte);
}

// 65,000 bytes of TCP in IPv4, to be sent as segments of 1448.
void add_large(wire::FrameBatch& batch, ByteView payload) {
  const wire::VirtioNetHeader offload{.flags = wire::VirtioNetHeader::kNeedsCsum,
                                      .gso_type = wire::VirtioNetHeader::kGsoTcpV4,
                                      .hdr_len = 54,
                                      .gso_size = 1448,
                                      .csum_start = 34,
                                      .csum_offset = 16};
  const MutableBytes frame = batch.add(54, payload, offload);
  std::ranges::fill(frame, std::uint8_t{0});
  const std::size_t total = 40 + payload.size();
  frame[12] = 8;
  frame[14] = 0x45;
  frame[16] = static_cast<std::uint8_t>(total >> 8);
  frame[17] = static_cast<std::uint8_t>(total);
  frame[22] = 64;
  frame[23] = 6;
  frame[26] = frame[30] = 127;
  frame[29] = frame[33] = 9;
  frame[46] = 0x50;
}

std::vector<std::size_t> sizes_of(PacketLink& link) {
  std::vector<std::size_t> sizes;
  for (const wire::FrameIn& frame : link.read_burst(Depth::kToTheEnd).frames) {
    sizes.push_back(frame.bytes.size());
  }
  return sizes;
}

int status_of(const std::function<int()>& body) {
  const int status = sys::in_network_namespace(body);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(PacketSockets, FramesOfEverySizeComeThroughInTheirOrder) {
  const int code = status_of([] {
    auto opened = open_packet_sockets(kLoopback, 1);
    if (!opened) return 1;
    const auto link = link_of(*opened, 0, 1);
    if (!link) return 2;
    if (!sizes_of(*link).empty()) return 3;
    const std::vector<std::uint8_t> payload(60'000, 'p');
    wire::FrameBatch batch;
    add(batch, 1, 60);
    add(batch, 2, kShortFrameMax);
    add(batch, 3, kShortFrameMax + 1);
    add(batch, 4, 1514);
    add_large(batch, payload);
    add(batch, 5, 60);
    add(batch, 6, 9000);
    if (link->write(batch) != 0) return 4;
    const int ready = link->descriptors()[0];
    if (!sys::wait_for(ready, POLLIN)) return 5;
    const std::vector<std::size_t> wanted{60,  kShortFrameMax, kShortFrameMax + 1, 1514, 60'054, 60,
                                          9000};
    if (sizes_of(*link) != wanted) return 6;
    link->flush();
    // All that was there was given back.
    return sys::wait_for(ready, POLLIN, 0) ? 7 : 0;
  });
  if (code == sys::kNotPermitted) GTEST_SKIP() << "no namespace";
  EXPECT_EQ(code, 0);
}

TEST(PacketSockets, AFrameThatIsLeftToTheKernelArrivesSo) {
  const int code = status_of([] {
    auto opened = open_packet_sockets(kLoopback, 1);
    if (!opened) return 1;
    const auto link = link_of(*opened, 0, 1);
    const std::vector<std::uint8_t> payload(60'000, 'p');
    wire::FrameBatch batch;
    add_large(batch, payload);
    if (link->write(batch) != 0) return 2;
    const auto frames = link->read_burst(Depth::kToTheEnd).frames;
    if (frames.size() != 1) return 3;
    const wire::VirtioNetHeader& offload = frames[0].offload;
    if (!offload.needs_checksum() || offload.csum_start != 34 || offload.csum_offset != 16) {
      return 4;
    }
    if (offload.gso_kind() != wire::VirtioNetHeader::kGsoTcpV4 || offload.gso_size != 1448) {
      return 5;
    }
    return frames[0].bytes.back() == 'p' ? 0 : 6;
  });
  if (code == sys::kNotPermitted) GTEST_SKIP() << "no namespace";
  EXPECT_EQ(code, 0);
}

TEST(PacketSockets, WhatIsLongerThanTheInterfaceTakesIsLost) {
  const int code = status_of([] {
    auto opened = open_packet_sockets(kLoopback, 1);
    if (!opened) return 1;
    const auto link = link_of(*opened, 0, 1);
    wire::FrameBatch batch;
    add(batch, 1, 60);
    add(batch, 2, 66'000);  // Its MTU is 65536.
    add(batch, 3, 60);
    if (link->write(batch) != 1) return 2;
    return sizes_of(*link) == std::vector<std::size_t>{60, 60} ? 0 : 3;
  });
  if (code == sys::kNotPermitted) GTEST_SKIP() << "no namespace";
  EXPECT_EQ(code, 0);
}

TEST(PacketSockets, ADozenSlotsMoreThanASocketWouldHold) {
  const int code = status_of([] {
    auto opened = open_packet_sockets(kLoopback, 1);
    if (!opened) return 1;
    const auto link = link_of(*opened, 0, 1);
    const std::vector<std::uint8_t> payload(60'000, 'p');
    wire::FrameBatch batch;
    for (int i = 0; i < 100; ++i) add_large(batch, payload);
    for (int i = 0; i < 1000; ++i) add(batch, 1, 60);
    if (link->write(batch) != 0) return 2;
    std::size_t frames = 0;
    while (const std::size_t more = sizes_of(*link).size()) frames += more;
    return frames == 1100 ? 0 : 3;
  });
  if (code == sys::kNotPermitted) GTEST_SKIP() << "no namespace";
  EXPECT_EQ(code, 0);
}

TEST(PacketSockets, SeveralQueuesGetEachFrameOnceAndAFlowsByOne) {
  const int code = status_of([] {
    auto opened = open_packet_sockets(kLoopback, 3);
    if (!opened || opened->sockets.size() != 6) return 1;
    std::vector<std::unique_ptr<PacketLink>> links;
    for (std::size_t i = 0; i < 3; ++i) links.push_back(link_of(*opened, i, 3));
    const std::vector<std::uint8_t> payload(5000, 'p');
    wire::FrameBatch batch;
    for (int i = 0; i < 6; ++i) add_large(batch, payload);
    // Whichever we write by.
    for (const auto& link : links) {
      if (link->write(batch) != 0) return 2;
    }
    std::vector<std::size_t> counts;
    for (const auto& link : links) counts.push_back(sizes_of(*link).size());
    std::ranges::sort(counts);
    return counts == std::vector<std::size_t>{0, 0, 18} ? 0 : 3;
  });
  if (code == sys::kNotPermitted) GTEST_SKIP() << "no namespace";
  EXPECT_EQ(code, 0);
}

TEST(PacketSockets, AnInterfaceThatIsNotThereIsNamed) {
  const int code = status_of([] {
    const auto opened = open_packet_sockets(77, 1);
    return !opened && opened.error().error == ENODEV ? 0 : 1;
  });
  if (code == sys::kNotPermitted) GTEST_SKIP() << "no namespace";
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace sluice::link
