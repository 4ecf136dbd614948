// A link that writes down what passes another, both ways, to a capture. Not thread-safe; the
// capture is, as each of a guest's links may have a thread of its own.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "link/link.h"
#include "link/pcap_file.h"

namespace sluice::link {

// A capture file that several links write to.
class Capture {
 public:
  // Told once, when the file takes nothing more and the capture ends. The frames pass as before.
  using OnError = std::function<void(const sys::SysError&)>;

  Capture(PcapFile file, OnError on_error);

  void add(std::span<const wire::FrameIn> frames);
  void add(const wire::FrameBatch& batch);
  void flush();

 private:
  void tell_error();

  std::mutex lock_;
  PcapFile file_;
  OnError on_error_;
};

class PcapTee final : public Link {
 public:
  // The capture is not owned.
  PcapTee(std::unique_ptr<Link> inner, Capture& capture)
      : inner_(std::move(inner)), capture_(capture) {}

  [[nodiscard]] wire::LinkFeatures features() const override { return inner_->features(); }
  [[nodiscard]] std::span<const int> descriptors() const override { return inner_->descriptors(); }
  [[nodiscard]] Burst read_burst(Depth depth) override;
  [[nodiscard]] bool is_intact() const override { return inner_->is_intact(); }
  // Written down first: an answer never stands before its question.
  [[nodiscard]] std::size_t write(const wire::FrameBatch& batch) override;
  [[nodiscard]] bool has_room() const override { return inner_->has_room(); }
  [[nodiscard]] Instant room_at() const override { return inner_->room_at(); }
  // Whose frames are written down has to see their payload: no room_for() is passed on.
  void flush() override;

 private:
  std::unique_ptr<Link> inner_;
  Capture& capture_;
};

}  // namespace sluice::link
