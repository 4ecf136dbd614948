// A tee around a link of the test's: what passes is not changed, and all of it is in the file.
#include "link/pcap_tee.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "unit/link/test_link.h"

namespace sluice::link {
namespace {

class PcapTeeTest : public ::testing::Test {
 protected:
  void wrap(const std::string& path) {
    auto inner_link = std::make_unique<TestLink>();
    inner = inner_link.get();
    capture.emplace(PcapFile(UniqueFd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600))),
                    [this](const sys::SysError& error) { errors.push_back(error); });
    tee.emplace(std::move(inner_link), *capture);
  }
  // The records of the file, without their headers.
  [[nodiscard]] std::vector<std::string> records() const {
    std::ifstream file(path_, std::ios::binary);
    const std::string all{std::istreambuf_iterator<char>(file), {}};
    std::vector<std::string> found;
    for (std::size_t at = 24; at + 16 <= all.size();) {
      std::array<std::uint32_t, 4> head{};
      std::copy_n(all.data() + at, sizeof head, reinterpret_cast<char*>(head.data()));
      found.push_back(all.substr(at + 16, head[2]));
      at += 16 + head[2];
    }
    return found;
  }
  void SetUp() override {
    const int fd = ::mkstemp(path_.data());
    ASSERT_GE(fd, 0);
    ::close(fd);
  }
  void TearDown() override { ::unlink(path_.c_str()); }

  std::string path_ = "/tmp/sluice-tee-XXXXXX";
  TestLink* inner = nullptr;
  std::optional<Capture> capture;
  std::optional<PcapTee> tee;
  std::vector<sys::SysError> errors;
  const std::array<std::uint8_t, 3> first{'o', 'n', 'e'};
};

// What lies in the other side's memory cannot be written down.
TEST_F(PcapTeeTest, ItOffersNoRoomWhateverItWraps) {
  wrap(path_);
  inner->memory = true;
  EXPECT_FALSE(tee->offers_room());
  EXPECT_TRUE(tee->room_for({.flow = {}, .headers = 54, .payload = 100, .bytes = 100}).empty());
}

TEST_F(PcapTeeTest, ItIsTheLinkThatItWraps) {
  wrap(path_);
  inner->offers.tso = true;
  EXPECT_TRUE(tee->features().tso);
  EXPECT_FALSE(tee->features().checksum);
  EXPECT_EQ(tee->descriptors().data(), inner->fds.data());
  EXPECT_EQ(tee->descriptors().size(), 2U);
  EXPECT_TRUE(tee->is_intact());
  inner->intact = [] { return false; };
  EXPECT_FALSE(tee->is_intact());
}

TEST_F(PcapTeeTest, FramesPassBothWaysAndAreWrittenDownInOrder) {
  wrap(path_);
  inner->incoming = {{'o', 'n', 'e'}, {'t', 'w', 'o'}};
  inner->offload.gso_size = 9;
  inner->gone = true;
  inner->drained = false;
  const Link::Burst burst = tee->read_burst(Link::Depth::kToTheEnd);
  ASSERT_EQ(burst.frames.size(), 2U);
  EXPECT_EQ(burst.frames[1].bytes[0], 't');
  EXPECT_EQ(burst.frames[1].offload.gso_size, 9U);
  EXPECT_TRUE(burst.gone);
  EXPECT_FALSE(burst.drained);
  EXPECT_EQ(inner->depths, std::vector{Link::Depth::kToTheEnd});

  wire::FrameBatch batch;
  inner->lost = 7;
  std::ranges::fill(batch.add(2, first, {}), 'h');
  std::ranges::fill(batch.add(4, {}, {}), 'b');
  EXPECT_EQ(tee->write(batch), 7U);  // As the inner one says.
  EXPECT_EQ(inner->written.size(), 2U);

  tee->flush();
  EXPECT_EQ(inner->flushed, 1U);
  EXPECT_EQ(records(), (std::vector<std::string>{"one", "two", "hhone", "bbbb"}));
  EXPECT_TRUE(errors.empty());
}

TEST_F(PcapTeeTest, AFrameInPiecesIsWrittenDownWhole) {
  wrap(path_);
  inner->incoming = {{'w', 'h', 'o', 'l', 'e'}, {'o'}};
  inner->head = 2;
  const Link::Burst burst = tee->read_burst(Link::Depth::kAsExpected);
  ASSERT_EQ(burst.frames.size(), 2U);
  EXPECT_EQ(burst.frames[0].bytes.size(), 2U) << "it passes as it is";
  EXPECT_EQ(burst.frames[0].rest.size(), 1U);
  tee->flush();
  EXPECT_EQ(records(), (std::vector<std::string>{"whole", "o"}));
}

TEST_F(PcapTeeTest, AFullDiskIsToldOnceAndTheFramesPass) {
  wrap("/dev/full");
  for (int i = 0; i < 3; ++i) {
    inner->incoming = {{'o', 'n', 'e'}};
    EXPECT_EQ(tee->read_burst(Link::Depth::kAsExpected).frames.size(), 1U);
    tee->flush();
  }
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0], (sys::SysError{sys::SysOp::kWrite, ENOSPC}));
  wire::FrameBatch batch;
  std::ranges::fill(batch.add(2, first, {}), 'h');
  EXPECT_EQ(tee->write(batch), 0U);
  EXPECT_EQ(inner->written.size(), 1U);
}

}  // namespace
}  // namespace sluice::link
