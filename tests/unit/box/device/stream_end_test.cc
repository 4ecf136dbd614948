#include "box/device/stream_end.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <vector>

namespace sluice::box {
namespace {

std::string read_some(StreamEnd& end, std::size_t size = 100) {
  std::vector<std::uint8_t> bytes(size);
  const std::array<MutableBytes, 2> pieces = {MutableBytes(bytes).first(1),
                                              MutableBytes(bytes).subspan(1)};
  const auto read = end.read(pieces);
  EXPECT_TRUE(read.has_value());
  if (!read || read->status != sys::ReadStatus::kData) return "";
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(read->bytes)};
}

std::expected<std::size_t, sys::SysError> write_text(StreamEnd& end, std::string_view text) {
  const std::array<ByteView, 1> pieces = {
      ByteView(reinterpret_cast<const std::uint8_t*>(text.data()), text.size())};
  return end.write(pieces);
}

struct Ends {
  UniqueFd from;
  UniqueFd to;
};
Ends pipe_ends() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}
Ends socket_ends() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}
bool is_blocking(int fd) { return (::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0; }

// Of what others have too no flag changes.
TEST(StreamEnd, APipeIsOpenedAnewAndNeverMadeNonBlocking) {
  const Ends pipe = pipe_ends();
  StreamEnd in = StreamEnd::open(sys::real_kernel(), pipe.from.get(), StreamWay::kInput);
  StreamEnd out = StreamEnd::open(sys::real_kernel(), pipe.to.get(), StreamWay::kOutput);
  EXPECT_EQ(in.kind(), StreamEnd::Kind::kOwn);
  EXPECT_EQ(out.kind(), StreamEnd::Kind::kOwn);
  EXPECT_TRUE(is_blocking(pipe.from.get()));
  EXPECT_TRUE(is_blocking(pipe.to.get()));
  EXPECT_EQ(read_some(in), "");
  EXPECT_EQ(write_text(out, "hello"), 5U);
  EXPECT_EQ(read_some(in), "hello");
}

TEST(StreamEnd, AFullPipeTakesNothing) {
  const Ends pipe = pipe_ends();
  StreamEnd out = StreamEnd::open(sys::real_kernel(), pipe.to.get(), StreamWay::kOutput);
  const std::string text(10'000, 'x');
  std::size_t taken = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto written = write_text(out, text);
    ASSERT_TRUE(written.has_value());
    if (*written == 0) break;
    taken += *written;
  }
  EXPECT_GT(taken, 0U);
  EXPECT_EQ(write_text(out, text), 0U);
}

TEST(StreamEnd, EndsAreSeen) {
  Ends pipe = pipe_ends();
  StreamEnd in = StreamEnd::open(sys::real_kernel(), pipe.from.get(), StreamWay::kInput);
  pipe.to.reset();
  std::array<std::uint8_t, 8> bytes{};
  const std::array<MutableBytes, 1> pieces = {bytes};
  const auto read = in.read(pieces);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->status, sys::ReadStatus::kEndOfStream);
}

TEST(StreamEnd, NobodyReadingIsAnError) {
  ::signal(SIGPIPE, SIG_IGN);
  for (const auto make : {pipe_ends, socket_ends}) {
    Ends ends = make();
    StreamEnd out = StreamEnd::open(sys::real_kernel(), ends.to.get(), StreamWay::kOutput);
    ends.from.reset();
    const auto written = write_text(out, "x");
    ASSERT_FALSE(written.has_value());
    EXPECT_EQ(written.error().error, EPIPE);
  }
}

TEST(StreamEnd, ASocketIsAskedWithoutWaiting) {
  const Ends pair = socket_ends();
  StreamEnd in = StreamEnd::open(sys::real_kernel(), pair.from.get(), StreamWay::kInput);
  StreamEnd out = StreamEnd::open(sys::real_kernel(), pair.to.get(), StreamWay::kOutput);
  EXPECT_EQ(in.kind(), StreamEnd::Kind::kSocket);
  EXPECT_TRUE(is_blocking(in.fd()));
  EXPECT_EQ(read_some(in), "");
  EXPECT_EQ(write_text(out, "hello"), 5U);
  EXPECT_EQ(read_some(in), "hello");
}

// Its position is shared with whoever started us, as that of any other command.
TEST(StreamEnd, AFileIsUsedAsItIs) {
  std::string name = testing::TempDir() + "/stream-end-XXXXXX";
  const UniqueFd file(::mkstemp(name.data()));
  ASSERT_TRUE(file.valid());
  ::unlink(name.c_str());
  StreamEnd out = StreamEnd::open(sys::real_kernel(), file.get(), StreamWay::kOutput);
  EXPECT_EQ(out.kind(), StreamEnd::Kind::kFile);
  EXPECT_EQ(out.fd(), file.get());
  EXPECT_EQ(write_text(out, "hello"), 5U);
  EXPECT_EQ(::lseek(file.get(), 0, SEEK_CUR), 5);
  ::lseek(file.get(), 1, SEEK_SET);
  StreamEnd in = StreamEnd::open(sys::real_kernel(), file.get(), StreamWay::kInput);
  EXPECT_EQ(read_some(in), "ello");
  EXPECT_EQ(::lseek(file.get(), 0, SEEK_CUR), 5);
}

TEST(StreamEnd, TheNullDeviceEndsAndTakesAll) {
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  StreamEnd in = StreamEnd::open(sys::real_kernel(), null.get(), StreamWay::kInput);
  StreamEnd out = StreamEnd::open(sys::real_kernel(), null.get(), StreamWay::kOutput);
  EXPECT_EQ(read_some(in), "");
  EXPECT_EQ(write_text(out, "hello"), 5U);
}

}  // namespace
}  // namespace sluice::box
