// A link that writes down what passes another, both ways, to a capture file. Not thread-safe.
#pragma once

#include <functional>
#include <memory>

#include "link/link.h"
#include "link/pcap_file.h"

namespace sluice::link {

class PcapTee final : public Link {
 public:
  // Told once, when the file takes nothing more and the capture ends. The frames pass as before.
  using OnError = std::function<void(const sys::SysError&)>;

  PcapTee(std::unique_ptr<Link> inner, PcapFile file, OnError on_error);

  [[nodiscard]] wire::LinkFeatures features() const override { return inner_->features(); }
  [[nodiscard]] std::span<const int> descriptors() const override { return inner_->descriptors(); }
  [[nodiscard]] Burst read_burst(Depth depth) override;
  // Written down first: an answer never stands before its question.
  [[nodiscard]] std::size_t write(const wire::FrameBatch& batch) override;
  [[nodiscard]] bool has_room() const override { return inner_->has_room(); }
  void flush() override;

 private:
  void tell_error();

  std::unique_ptr<Link> inner_;
  PcapFile file_;
  OnError on_error_;
};

}  // namespace sluice::link
