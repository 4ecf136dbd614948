// A link of a test's: gives the frames that the test puts into it, and keeps what is written.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "link/link.h"

namespace sluice::link {

class TestLink final : public Link {
 public:
  using Bytes = std::vector<std::uint8_t>;

  [[nodiscard]] wire::LinkFeatures features() const override { return offers; }
  [[nodiscard]] std::span<const int> descriptors() const override { return fds; }
  [[nodiscard]] Burst read_burst(Depth depth) override {
    depths.push_back(depth);
    read_ = std::exchange(incoming, {});
    frames_.clear();
    for (const Bytes& bytes : read_) frames_.push_back({.bytes = bytes, .offload = offload});
    for (wire::FrameIn& frame : frames_) {
      if (head == 0 || frame.bytes.size() <= head) continue;
      room_.emplace_back(frame.bytes.begin(), frame.bytes.begin() + head)
          .resize(frame.bytes.size());
      pieces_.push_back(frame.bytes.subspan(head));
      frame.room = room_.back();
      frame.bytes = ByteView(room_.back()).first(head);
      frame.rest = {&pieces_.back(), 1};
    }
    return {frames_, drained, gone};
  }
  [[nodiscard]] std::size_t write(const wire::FrameBatch& batch) override {
    ++writes;
    for (const wire::FrameOut& frame : batch) {
      offloads.push_back(frame.offload);
      const ByteView header = batch.header(frame);
      Bytes& whole = written.emplace_back(header.begin(), header.end());
      whole.insert(whole.end(), frame.payload.begin(), frame.payload.end());
    }
    return lost;
  }
  [[nodiscard]] bool is_intact() const override { return intact(); }
  [[nodiscard]] bool has_room() const override { return room; }
  [[nodiscard]] Instant room_at() const override { return ask_again; }
  [[nodiscard]] bool offers_room() const override { return memory; }
  void flush() override { ++flushed; }

  // What it says of itself.
  wire::LinkFeatures offers;
  std::array<int, 2> fds{17, 18};
  std::size_t lost = 0;  // Of each batch.
  bool drained = true;
  bool gone = false;
  bool room = true;
  Instant ask_again = kNever;
  bool memory = false;  // Of which it would give some.
  std::function<bool()> intact = [] { return true; };
  // What the next burst is, and what is said of each of its frames.
  std::vector<Bytes> incoming;
  wire::VirtioNetHeader offload;
  std::uint8_t head = 0;  // Not zero: only so much of a frame is copied.
  // What was done with it.
  std::vector<Depth> depths;
  std::vector<Bytes> written;
  std::vector<wire::VirtioNetHeader> offloads;  // Of these.
  std::size_t writes = 0;
  std::size_t flushed = 0;

 private:
  std::vector<Bytes> read_;
  std::vector<wire::FrameIn> frames_;
  std::deque<Bytes> room_;
  std::deque<ByteView> pieces_;
};

}  // namespace sluice::link
