// SocketLink over real sockets, as monitors use it. What it is waited for is seen by poll() on its
// descriptor, as a loop does.
#include "link/socket_link.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <filesystem>
#include <vector>

#include "base/unique_fd.h"
#include "unit/link/frames_of_a_test.h"
#include "unit/sys/fake_kernel.h"

namespace sluice::link {
namespace {

using Kind = FrameSocketKind;
using What = PeerNews::What;
using Depth = Link::Depth;
using Texts = std::vector<std::string>;

constexpr int kSoonMs = 20'000;

class SocketLinkTest : public ::testing::Test {
 protected:
  SocketLinkTest() {
    char pattern[] = "/tmp/sluice-link-XXXXXX";
    folder = ::mkdtemp(pattern);
    path = folder + "/vm.sock";
  }
  ~SocketLinkTest() override { std::filesystem::remove_all(folder); }

  void serve(FrameSocket socket, Guests guests = Guests::kOneAfterAnother) {
    auto made = SocketLink::create(
        kernel, std::move(socket),
        {.guests = guests, .tell = [this](const PeerNews& one) { news.push_back(one); }});
    ASSERT_TRUE(made.has_value());
    link = std::move(*made);
  }
  void listen(Kind kind, Guests guests = Guests::kOneAfterAnother) {
    auto socket = open_frame_socket(kernel, kind, path);
    ASSERT_TRUE(socket.has_value());
    serve(std::move(*socket), guests);
  }
  [[nodiscard]] UniqueFd connect(int type) const {
    UniqueFd socket(::socket(AF_UNIX, type | SOCK_NONBLOCK, 0));
    const auto address = sys::unix_sockaddr(path);
    EXPECT_EQ(::connect(socket.get(), address->get(), address->length), 0);
    return socket;
  }
  // One with a name, as a monitor that takes datagrams has.
  [[nodiscard]] UniqueFd connect_from(const std::string& name) const {
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
    const auto own = sys::unix_sockaddr(folder + "/" + name);
    EXPECT_EQ(::bind(socket.get(), own->get(), own->length), 0);
    const auto address = sys::unix_sockaddr(path);
    EXPECT_EQ(::connect(socket.get(), address->get(), address->length), 0);
    return socket;
  }
  // Whether the loop would wake.
  [[nodiscard]] bool readable(int patience_ms = kSoonMs) const {
    pollfd item{.fd = link->descriptors()[0], .events = POLLIN, .revents = 0};
    return ::poll(&item, 1, patience_ms) == 1;
  }
  // Turns until nothing is to be done; what came.
  Texts turn() {
    Texts got;
    int turns = 0;
    while (!gone && readable(0)) {
      if (++turns > 10'000) {
        ADD_FAILURE() << "it never sleeps";
        break;
      }
      const Link::Burst burst = link->read_burst(Depth::kAsExpected);
      for (const std::string& text : texts_of(burst.frames)) got.push_back(text);
      gone = burst.gone;
    }
    return got;
  }
  [[nodiscard]] std::vector<What> heard() const {
    std::vector<What> all;
    for (const PeerNews& one : news) all.push_back(one.what);
    return all;
  }
  [[nodiscard]] std::size_t write(const std::string& frame, std::size_t count = 1) {
    wire::FrameBatch batch;
    for (std::size_t i = 0; i < count; ++i) add_frame(batch, frame);
    return link->write(batch);
  }
  static void send(const UniqueFd& socket, const std::string& bytes) {
    ASSERT_EQ(::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  [[nodiscard]] static std::string receive(const UniqueFd& socket) {
    static std::vector<char> room(4 * 1024 * 1024);  // Once: it takes a sanitizer its time.
    const ssize_t got = ::recv(socket.get(), room.data(), room.size(), MSG_DONTWAIT);
    return {room.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
  }

  sys::Kernel& kernel = sys::real_kernel();
  std::string folder;
  std::string path;
  std::unique_ptr<SocketLink> link;
  std::vector<PeerNews> news;
  bool gone = false;
  const std::string a = std::string(14, 'a');
  const std::string b = std::string(1514, 'b');
};

TEST_F(SocketLinkTest, AStreamsFramesGoBothWays) {
  listen(Kind::kStream);
  EXPECT_EQ(write(a), 1U);  // Nobody is there.
  EXPECT_FALSE(link->has_room());
  const UniqueFd guest = connect(SOCK_STREAM);
  EXPECT_TRUE(readable());
  EXPECT_TRUE(turn().empty());
  EXPECT_EQ(heard(), std::vector{What::kCame});
  EXPECT_TRUE(link->has_room());
  send(guest, prefixed(a) + prefixed(b).substr(0, 100));
  EXPECT_EQ(turn(), Texts{a});
  send(guest, prefixed(b).substr(100));
  EXPECT_EQ(turn(), Texts{b});
  EXPECT_EQ(write(b, 3), 0U);
  EXPECT_EQ(receive(guest), prefixed(b) + prefixed(b) + prefixed(b));
  EXPECT_FALSE(link->features().checksum || link->features().tso || link->features().uso);
}

TEST_F(SocketLinkTest, AFrameOfASeqpacketSocketIsAPacket) {
  listen(Kind::kSeqpacket);
  const UniqueFd guest = connect(SOCK_SEQPACKET);
  send(guest, a);
  send(guest, b);
  Texts got = turn();
  for (const std::string& text : turn()) got.push_back(text);
  EXPECT_EQ(got, (Texts{a, b}));
  EXPECT_EQ(write(a), 0U);
  EXPECT_EQ(write(b), 0U);
  EXPECT_EQ(receive(guest), a);
  EXPECT_EQ(receive(guest), b);
}

TEST_F(SocketLinkTest, ADatagramsSenderIsAnswered) {
  listen(Kind::kDatagram);
  const UniqueFd guest = connect_from("guest");
  send(guest, "VFKT");
  EXPECT_TRUE(turn().empty());
  ASSERT_EQ(heard(), std::vector{What::kCame});
  EXPECT_EQ(news[0].address, folder + "/guest");
  EXPECT_EQ(write(b), 0U);
  EXPECT_EQ(receive(guest), b);
  const UniqueFd next = connect_from("next");
  send(next, a);
  EXPECT_EQ(turn(), Texts{a});
  EXPECT_EQ(write(b), 0U);
  EXPECT_EQ(receive(guest), "");
  EXPECT_EQ(receive(next), b);
}

TEST_F(SocketLinkTest, WhoSendsWithoutANameIsToldOfOnce) {
  listen(Kind::kDatagram);
  const UniqueFd guest = connect(SOCK_DGRAM);
  send(guest, a);
  (void)turn();
  send(guest, a);
  (void)turn();
  EXPECT_EQ(heard(), std::vector{What::kNameless});
  EXPECT_EQ(write(a), 1U);
}

TEST_F(SocketLinkTest, OneGuestAfterAnother) {
  for (const auto& [kind, type] :
       {std::pair{Kind::kStream, SOCK_STREAM}, std::pair{Kind::kSeqpacket, SOCK_SEQPACKET}}) {
    std::filesystem::remove(path);
    listen(kind);
    const auto framed = [&](const std::string& text) {
      return type == SOCK_STREAM ? prefixed(text) : text;
    };
    for (int i = 0; i < 5; ++i) {
      news.clear();
      UniqueFd guest = connect(type);
      send(guest, framed(a));
      Texts got = turn();
      for (const std::string& text : turn()) got.push_back(text);
      EXPECT_EQ(got, Texts{a});
      EXPECT_EQ(write(b), 0U);
      EXPECT_EQ(receive(guest), framed(b));
      guest.reset();
      EXPECT_TRUE(readable());
      (void)turn();
      EXPECT_EQ(heard(), (std::vector{What::kCame, What::kWent}));
      EXPECT_EQ(write(b), 1U);
      EXPECT_FALSE(gone);
    }
  }
}

TEST_F(SocketLinkTest, WhoComesWhileOneIsThereIsTurnedAwayAndWhoComesAfterItIsNot) {
  listen(Kind::kStream);
  UniqueFd first = connect(SOCK_STREAM);
  (void)turn();
  for (int i = 0; i < 3; ++i) {
    const UniqueFd second = connect(SOCK_STREAM);
    EXPECT_TRUE(readable());
    (void)turn();
    std::uint8_t byte = 0;
    EXPECT_EQ(::recv(second.get(), &byte, 1, MSG_DONTWAIT), 0);
  }
  EXPECT_EQ(heard(), (std::vector{What::kCame, What::kTurnedAway}));  // Told once.
  send(first, prefixed(a));
  EXPECT_EQ(turn(), Texts{a});
  // The first one's end and the next one's beginning are seen at once.
  first.reset();
  const UniqueFd third = connect(SOCK_STREAM);
  send(third, prefixed(b));
  EXPECT_EQ(turn(), Texts{b});
}

TEST_F(SocketLinkTest, OfPacketsTheNewestConnectionCounts) {
  listen(Kind::kSeqpacket);
  const UniqueFd first = connect(SOCK_SEQPACKET);
  send(first, a);
  EXPECT_EQ(turn(), Texts{a});
  const UniqueFd second = connect(SOCK_SEQPACKET);
  (void)turn();
  EXPECT_EQ(heard(), (std::vector{What::kCame, What::kWent, What::kCame}));
  std::uint8_t byte = 0;
  EXPECT_EQ(::recv(first.get(), &byte, 1, MSG_DONTWAIT), 0);
  send(second, b);
  EXPECT_EQ(turn(), Texts{b});
}

TEST_F(SocketLinkTest, ABadLengthEndsItsConnectionAndNoOther) {
  listen(Kind::kStream);
  const UniqueFd bad = connect(SOCK_STREAM);
  send(bad, prefixed(a) + "GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(turn(), Texts{a});
  ASSERT_EQ(heard(), (std::vector{What::kCame, What::kWent}));
  EXPECT_EQ(news[1].end.why, ChannelEnd::Why::kBadLength);
  EXPECT_EQ(news[1].end.length, 0x4745'5420U);
  const UniqueFd good = connect(SOCK_STREAM);
  send(good, prefixed(b));
  EXPECT_EQ(turn(), Texts{b});
}

TEST_F(SocketLinkTest, TheOnlyOneTakesTheLinkWithIt) {
  listen(Kind::kStream, Guests::kOnlyOne);
  UniqueFd guest = connect(SOCK_STREAM);
  send(guest, prefixed(a));
  guest.reset();
  EXPECT_EQ(turn(), Texts{a});
  EXPECT_TRUE(gone);
  EXPECT_TRUE(link->read_burst(Depth::kToTheEnd).gone);
}

TEST_F(SocketLinkTest, ASocketThatWasHandedToUsIsTheOnlyOne) {
  for (const int type : {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM}) {
    gone = false;
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, ends.data()), 0);
    UniqueFd guest(ends[1]);
    serve(std::move(*take_frame_socket(kernel, ends[0])));
    send(guest, type == SOCK_STREAM ? prefixed(a) : a);
    EXPECT_EQ(turn(), Texts{a});
    EXPECT_EQ(write(b), 0U);
    EXPECT_EQ(receive(guest), type == SOCK_STREAM ? prefixed(b) : b);
    guest.reset();
    if (type == SOCK_DGRAM) {
      EXPECT_EQ(write(b), 1U);  // Nothing else tells.
      EXPECT_TRUE(link->read_burst(Depth::kToTheEnd).gone);
    } else {
      (void)turn();
      EXPECT_TRUE(gone);
    }
  }
}

// Whatever the kind, what a peer does not read is kept within bounds, told by has_room(), and goes
// out as it reads, woken by the descriptor alone.
TEST_F(SocketLinkTest, APeerThatDoesNotReadStopsNothingAndGetsItAllLater) {
  for (const auto& [kind, type] :
       {std::pair{Kind::kStream, SOCK_STREAM}, std::pair{Kind::kSeqpacket, SOCK_SEQPACKET},
        std::pair{Kind::kDatagram, SOCK_DGRAM}}) {
    std::filesystem::remove(path);
    listen(kind);
    const UniqueFd guest =
        type == SOCK_DGRAM ? connect_from("guest" + std::to_string(type)) : connect(type);
    if (type == SOCK_DGRAM) send(guest, a);
    (void)turn();
    std::size_t frames = 0;
    for (; link->has_room(); ++frames) ASSERT_EQ(write(b), 0U);
    std::size_t lost = 0;
    while (lost == 0) {
      lost = write(b);
      if (lost == 0) ++frames;
    }
    EXPECT_FALSE(readable(0));  // Nothing to do: the loop sleeps.
    // It may still send, and is heard.
    send(guest, type == SOCK_STREAM ? prefixed(a) : a);
    EXPECT_EQ(turn(), Texts{a});
    EXPECT_FALSE(readable(0));
    std::size_t bytes = 0;
    const std::size_t wanted = frames * (type == SOCK_STREAM ? prefixed(b).size() : b.size());
    while (bytes < wanted) {
      const std::string got = receive(guest);
      bytes += got.size();
      if (got.empty()) {
        ASSERT_TRUE(readable()) << type << ' ' << bytes << " of " << wanted;
        (void)turn();
      }
    }
    EXPECT_EQ(bytes, wanted);
    (void)turn();
    EXPECT_TRUE(link->has_room());
    EXPECT_EQ(write(b), 0U);
    EXPECT_FALSE(readable(0));
  }
}

// One that is not connected to us: its queue is full while our socket counts as writable.
TEST_F(SocketLinkTest, ADatagramQueueThatIsFullDoesNotKeepUsAwake) {
  listen(Kind::kDatagram);
  UniqueFd guest(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
  const auto own = sys::unix_sockaddr(folder + "/qemu");
  ASSERT_EQ(::bind(guest.get(), own->get(), own->length), 0);
  const auto ours = sys::unix_sockaddr(path);
  ASSERT_EQ(::sendto(guest.get(), a.data(), a.size(), 0, ours->get(), ours->length), 14);
  (void)turn();
  constexpr std::size_t kFrames = 300;
  ASSERT_EQ(write(a, kFrames), 0U);
  (void)turn();
  EXPECT_FALSE(readable(0));
  for (std::size_t got = 0; got < kFrames;) {
    if (!receive(guest).empty()) {
      ++got;
    } else {
      ASSERT_TRUE(readable()) << got;
      (void)turn();
    }
  }
}

// Its end comes between our look at what it sent and our look at what else there is.
TEST(SocketLink, WhoComesBehindAPeerThatHasHungUpIsNoSecondOne) {
  constexpr int kListener = 500;
  sys::FakeKernel kernel;
  std::vector<What> heard;
  auto link =
      SocketLink::create(kernel, {sys::KernelFd(kernel, kListener), Kind::kStream, true, false},
                         {.tell = [&](const PeerNews& news) { heard.push_back(news.what); }});
  ASSERT_TRUE(link.has_value());
  const auto turn = [&] { return (*link)->read_burst(Depth::kAsExpected); };
  kernel.script("accept4", 600);
  kernel.script("accept4", -1, EAGAIN);
  kernel.script_events({{kListener, EPOLLIN}});
  (void)turn();
  kernel.script("accept4", 601);
  kernel.script("accept4", -1, EAGAIN);
  kernel.script_events({{600, EPOLLIN | EPOLLHUP}, {kListener, EPOLLIN}});
  (void)turn();
  EXPECT_EQ(kernel.count("accept4"), 2U);
  // Now its end is read.
  kernel.script("recvmsg", 0);
  (void)turn();
  EXPECT_EQ(heard, (std::vector{What::kCame, What::kWent, What::kCame}));
}

}  // namespace
}  // namespace sluice::link
