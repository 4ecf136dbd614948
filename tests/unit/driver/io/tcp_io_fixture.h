// TcpIo between an engine and a kernel that fails as scripted.
#pragma once

#include <gtest/gtest.h>

#include <optional>

#include "driver/io/tcp_io.h"
#include "unit/flow/engine/engine_fixture.h"
#include "unit/sys/fake_kernel.h"

namespace sluice::driver::test {

using flow::test::Bytes;

class TcpIoTest : public flow::test::TcpFixture {
 protected:
  TcpIoTest() {
    auto loop = sys::EventLoop::create(kernel);
    EXPECT_TRUE(loop.has_value());
    loop_.emplace(std::move(*loop));
    io.emplace(IoContext{kernel, *loop_, outbound_}, tcp());
  }

  // Carries out what the engine wants of TCP, as the worker does.
  void settle() {
    for (std::size_t i = 0; i < sink.actions().size(); ++i) {
      const flow::Action action = sink.actions()[i];
      if (const auto* connect = std::get_if<flow::ConnectTcp>(&action)) {
        id = connect->flow;
        io->connect(*connect, {now, sink});
      } else if (const auto* write = std::get_if<flow::WriteTcp>(&action)) {
        io->write(*write, {now, sink});
      } else if (const auto* stash = std::get_if<flow::StashTcp>(&action)) {
        io->stash(*stash, {now, sink});
      } else if (const auto* peek = std::get_if<flow::PeekTcp>(&action)) {
        collect_frames();
        io->peek(*peek, {now, sink});
        if (link != nullptr) write_to(*link);
      } else if (const auto* discard = std::get_if<flow::DiscardTcp>(&action)) {
        io->discard(*discard, {now, sink});
      } else if (const auto* shutdown = std::get_if<flow::ShutdownTcp>(&action)) {
        io->shutdown(*shutdown);
      } else if (const auto* close = std::get_if<flow::CloseTcp>(&action)) {
        io->close(*close, now);
      } else if (const auto* probe = std::get_if<flow::ProbeTcp>(&action)) {
        io->probe(*probe, sink);
      }
    }
    collect();
  }
  void burst(const flow::test::GuestSegment& segment) {
    const Bytes bytes = flow::test::tcp_frame(network(), segment);
    engine().on_frame(bytes, {}, {now, sink});
    engine().end_burst(flow::BurstEnd::kDrained, {now, sink});
    settle();
  }
  void event(std::uint32_t events) {
    io->on_event(EventTag::of(EventKind::kTcp, id), events, {now, sink});
    settle();
  }
  // A connection that the host accepted.
  Connection open() {
    burst(syn({}));
    event(EPOLLOUT);
    Connection c{.id = id,
                 .guest = flow::test::kGuest,
                 .remote = flow::test::kServer,
                 .next = wire::SeqNum{1000},
                 .host_next = frames.back().tcp().sequence() + 1};
    burst(ack(c));
    clear();
    return c;
  }
  void send_bytes(Connection& c, std::size_t length) {
    const auto segment = data(c, c.sent, length);
    c.next += static_cast<std::uint32_t>(length);
    c.sent += length;
    burst(segment);
  }

  // As the worker does it.
  void write_to(link::Link& to) {
    if (sink.frames().empty()) return;
    EXPECT_EQ(to.write(sink.frames()), 0U);
  }

  sys::FakeKernel kernel;
  link::Link* link = nullptr;  // Besides, what is peeked is written to it.
  std::optional<sys::EventLoop> loop_;
  host::Outbound outbound_;
  std::optional<TcpIo> io;
  flow::TcpId id;
};

}  // namespace sluice::driver::test
