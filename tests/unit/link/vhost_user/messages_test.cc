// Messages as QEMU, User Mode Linux and DPDK send them, byte by byte, and what nobody may send.
#include "link/vhost_user/messages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace sluice::link {
namespace {

using Bytes = std::vector<std::uint8_t>;

template <typename... T>
[[nodiscard]] Bytes native(T... values) {
  Bytes out;
  const auto add = [&](auto value) {
    const std::size_t at = out.size();
    out.resize(at + sizeof value);
    std::memcpy(out.data() + at, &value, sizeof value);
  };
  (add(values), ...);
  return out;
}

[[nodiscard]] std::expected<VhostHeader, VhostError> header_of(std::uint32_t request,
                                                               std::uint32_t flags,
                                                               std::uint32_t size) {
  const Bytes bytes = native(request, flags, size);
  return parse_vhost_header(FixedView<kVhostHeaderSize>(bytes.data(), kVhostHeaderSize));
}

[[nodiscard]] std::expected<VhostMessage, VhostError> parse(VhostRequest request,
                                                            const Bytes& payload,
                                                            std::size_t descriptors = 0) {
  const auto header =
      header_of(static_cast<std::uint32_t>(request), 1, static_cast<std::uint32_t>(payload.size()));
  if (!header) return std::unexpected(header.error());
  return parse_vhost_message(*header, payload, descriptors);
}

constexpr VhostRegion kRegion{
    .guest_address = 0x1000, .size = 0x2000, .user_address = 0x7f00'0000'0000, .offset = 0x3000};

TEST(VhostMessages, AHeaderSaysWhatFollowsAndWhetherAnAnswerIsWanted) {
  const auto header = header_of(5, 1 | 8, 72);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->request, VhostRequest::kSetMemTable);
  EXPECT_TRUE(header->need_reply);
  EXPECT_EQ(header->size, 72U);
  EXPECT_FALSE(header_of(5, 1, 72)->need_reply);
}

TEST(VhostMessages, AHeaderThatIsWrongIsRefused) {
  EXPECT_EQ(header_of(1, 2, 0).error(), VhostError::kVersion);
  EXPECT_EQ(header_of(1, 0, 0).error(), VhostError::kVersion);
  EXPECT_EQ(header_of(1, 1 | 4, 0).error(), VhostError::kAnswer);
  for (const std::uint32_t request : {0U, 22U, 23U, 26U, 33U, 35U, 41U, 42U, 1000U, ~0U}) {
    EXPECT_EQ(header_of(request, 1, 0).error(), VhostError::kUnknown) << request;
  }
  EXPECT_EQ(header_of(24, 1, kVhostPayloadMax + 1).error(), VhostError::kSize);
  EXPECT_EQ(header_of(24, 1, ~0U).error(), VhostError::kSize);
}

TEST(VhostMessages, APayloadHasTheSizeOfItsKind) {
  EXPECT_TRUE(parse(VhostRequest::kGetFeatures, {}));
  EXPECT_EQ(parse(VhostRequest::kGetFeatures, native(std::uint8_t{0})).error(), VhostError::kSize);
  const std::uint64_t features = 0x1'7060'ff83;
  EXPECT_EQ(parse(VhostRequest::kSetFeatures, native(features))->payload,
            VhostPayload(VhostNumber{features}));
  EXPECT_EQ(parse(VhostRequest::kSetFeatures, native(std::uint32_t{1})).error(), VhostError::kSize);
  EXPECT_EQ(
      parse(VhostRequest::kSetVringNum, native(std::uint32_t{1}, std::uint32_t{256}))->payload,
      VhostPayload(VhostVringState{1, 256}));
  EXPECT_EQ(parse(VhostRequest::kSetVringAddr, Bytes(39)).error(), VhostError::kSize);
  EXPECT_TRUE(parse(VhostRequest::kSetVringAddr, Bytes(40)));
}

TEST(VhostMessages, ATableMayBeSentWithRoomBehindItsRegions) {
  // User Mode Linux sends its whole structure of two, and counts one.
  Bytes payload = native(std::uint32_t{1}, std::uint32_t{0}, kRegion.guest_address, kRegion.size,
                         kRegion.user_address, kRegion.offset);
  const auto exact = parse(VhostRequest::kSetMemTable, payload, 1);
  payload.resize(8 + 2 * 32);
  const auto roomy = parse(VhostRequest::kSetMemTable, payload, 1);
  ASSERT_TRUE(exact && roomy);
  EXPECT_EQ(*exact, *roomy);
  const auto& table = std::get<VhostTable>(roomy->payload);
  EXPECT_EQ(table.count, 1U);
  EXPECT_EQ(table.regions[0], kRegion);
}

TEST(VhostMessages, ATableHasADescriptorForEachRegionAndNoMoreThanEight) {
  const auto table = [](std::uint32_t count, std::size_t room, std::size_t descriptors) {
    Bytes payload = native(count, std::uint32_t{0});
    payload.resize(8 + room * 32);
    return parse(VhostRequest::kSetMemTable, payload, descriptors);
  };
  EXPECT_TRUE(table(8, 8, 8));
  EXPECT_EQ(table(0, 1, 1).error(), VhostError::kRegions);
  EXPECT_EQ(table(9, 8, 8).error(), VhostError::kRegions);
  EXPECT_EQ(table(~0U, 8, 8).error(), VhostError::kRegions);
  EXPECT_EQ(table(3, 2, 3).error(), VhostError::kSize);
  EXPECT_EQ(table(2, 2, 1).error(), VhostError::kDescriptors);
  EXPECT_EQ(table(1, 1, 2).error(), VhostError::kDescriptors);
  EXPECT_EQ(table(1, 1, 0).error(), VhostError::kDescriptors);
}

TEST(VhostMessages, AnEventfdIsThereOrSaidNotToBe) {
  const auto kick = [](std::uint64_t value, std::size_t descriptors) {
    return parse(VhostRequest::kSetVringKick, native(value), descriptors);
  };
  EXPECT_EQ(kick(3, 1)->payload, VhostPayload(VhostVringFd{3, true}));
  EXPECT_EQ(kick(0x103, 0)->payload, VhostPayload(VhostVringFd{3, false}));
  EXPECT_EQ(kick(3, 0).error(), VhostError::kDescriptors);
  EXPECT_EQ(kick(0x103, 1).error(), VhostError::kDescriptors);
  EXPECT_EQ(kick(3, 2).error(), VhostError::kDescriptors);
}

TEST(VhostMessages, DescriptorsComeOnlyWhereTheyAreTaken) {
  EXPECT_EQ(parse(VhostRequest::kGetFeatures, {}, 1).error(), VhostError::kDescriptors);
  EXPECT_EQ(parse(VhostRequest::kSetBackendReqFd, {}, 0).error(), VhostError::kDescriptors);
  EXPECT_TRUE(parse(VhostRequest::kSetBackendReqFd, {}, 1));
  EXPECT_EQ(parse(VhostRequest::kAddMemReg, Bytes(40), 0).error(), VhostError::kDescriptors);
  EXPECT_TRUE(parse(VhostRequest::kRemMemReg, Bytes(40), 0));
}

TEST(VhostMessages, ConfigurationIsAsLongAsItSays) {
  const auto config = [](std::uint32_t size, std::size_t room) {
    Bytes payload = native(std::uint32_t{0}, size, std::uint32_t{0});
    payload.resize(12 + room);
    return parse(VhostRequest::kGetConfig, payload);
  };
  EXPECT_TRUE(config(12, 12));
  EXPECT_TRUE(config(256, 256));
  EXPECT_EQ(config(12, 11).error(), VhostError::kSize);
  EXPECT_EQ(config(257, 256).error(), VhostError::kSize);
  EXPECT_EQ(parse(VhostRequest::kGetConfig, Bytes(11)).error(), VhostError::kSize);
}

TEST(VhostMessages, WhatIsWrittenIsReadAsTheSame) {
  VhostTable table{.count = 2};
  table.regions[0] = kRegion;
  table.regions[1] = {.guest_address = 1, .size = 2, .user_address = 3, .offset = 4};
  VhostConfig config{.offset = 4, .size = 3};
  config.bytes[2] = 7;
  const std::vector<std::pair<VhostMessage, std::size_t>> all = {
      {{VhostRequest::kGetFeatures, true, VhostNothing{}}, 0},
      {{VhostRequest::kSetFeatures, false, VhostNumber{1ULL << 35}}, 0},
      {{VhostRequest::kSetVringEnable, true, VhostVringState{2, 1}}, 0},
      {{VhostRequest::kSetVringAddr, true, VhostVringAddress{1, 1, 2, 3, 4, 5}}, 0},
      {{VhostRequest::kSetVringCall, false, VhostVringFd{9, true}}, 1},
      {{VhostRequest::kSetVringErr, false, VhostVringFd{9, false}}, 0},
      {{VhostRequest::kAddMemReg, true, kRegion}, 1},
      {{VhostRequest::kSetMemTable, true, table}, 2},
      {{VhostRequest::kSetLogBase, false, VhostLog{4096, 8192}}, 1},
      {{VhostRequest::kSetConfig, false, config}, 0}};
  for (const auto& [message, descriptors] : all) {
    std::array<std::uint8_t, kVhostMessageMax> out{};
    const std::size_t size = emit_vhost_message(message, VhostKind::kRequest, out);
    const auto header = parse_vhost_header(FixedBytes<kVhostMessageMax>(out).first<12>());
    ASSERT_TRUE(header) << to_string(message.request);
    ASSERT_EQ(kVhostHeaderSize + header->size, size);
    const auto again = parse_vhost_message(
        *header, ByteView(out).subspan(kVhostHeaderSize, header->size), descriptors);
    ASSERT_TRUE(again) << to_string(message.request);
    EXPECT_EQ(*again, message) << to_string(message.request);
    // Cut anywhere, it is none.
    for (std::size_t part = 0; part < header->size; ++part) {
      EXPECT_FALSE(
          parse_vhost_message(*header, ByteView(out).subspan(kVhostHeaderSize, part), descriptors));
    }
  }
}

TEST(VhostMessages, AnAnswerSaysThatItIsOne) {
  std::array<std::uint8_t, kVhostMessageMax> out{};
  const VhostMessage answer{VhostRequest::kGetFeatures, false, VhostNumber{42}};
  ASSERT_EQ(emit_vhost_message(answer, VhostKind::kAnswer, out), 20U);
  const Bytes wanted =
      native(std::uint32_t{1}, std::uint32_t{5}, std::uint32_t{8}, std::uint64_t{42});
  EXPECT_TRUE(std::ranges::equal(wanted, ByteView(out).first(20)));
}

// QEMU sends its structure, others what the document has.
TEST(VhostMessages, WhatIsInFlightComesWithAndWithoutPadding) {
  VhostInflight inflight{.size = 0x1000, .offset = 0x20, .queues = 2, .queue_size = 256};
  const Bytes short_form =
      native(inflight.size, inflight.offset, inflight.queues, inflight.queue_size);
  Bytes long_form = short_form;
  long_form.resize(24);
  EXPECT_EQ(parse(VhostRequest::kGetInflightFd, long_form)->payload, VhostPayload(inflight));
  inflight.padded = false;
  EXPECT_EQ(parse(VhostRequest::kSetInflightFd, short_form, 1)->payload, VhostPayload(inflight));
  EXPECT_EQ(parse(VhostRequest::kSetInflightFd, short_form, 0).error(), VhostError::kDescriptors);
  for (const std::size_t size : {0U, 19U, 21U, 23U, 25U}) {
    EXPECT_EQ(parse(VhostRequest::kGetInflightFd, Bytes(size)).error(), VhostError::kSize) << size;
  }
  // An answer has the form of its question.
  std::array<std::uint8_t, kVhostMessageMax> out;
  EXPECT_EQ(
      emit_vhost_message({VhostRequest::kGetInflightFd, false, inflight}, VhostKind::kAnswer, out),
      kVhostHeaderSize + 20);
  inflight.padded = true;
  EXPECT_EQ(
      emit_vhost_message({VhostRequest::kGetInflightFd, false, inflight}, VhostKind::kAnswer, out),
      kVhostHeaderSize + 24);
}

}  // namespace
}  // namespace sluice::link
