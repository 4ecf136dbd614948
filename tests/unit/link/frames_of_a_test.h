// Frames as text, for tests of links.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "wire/link/frame_batch.h"

namespace sluice::link {

[[nodiscard]] inline ByteView view_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// Its first bytes lie in the batch, the others are borrowed.
inline void add_frame(wire::FrameBatch& batch, const std::string& header,
                      const std::string& payload = "") {
  std::ranges::copy(header, batch.add(header.size(), view_of(payload), {}).begin());
}

[[nodiscard]] inline std::vector<std::string> texts_of(std::span<const wire::FrameIn> frames) {
  std::vector<std::string> texts;
  for (const wire::FrameIn& frame : frames) {
    texts.emplace_back(frame.bytes.begin(), frame.bytes.end());
  }
  return texts;
}

// With its length before it.
[[nodiscard]] inline std::string prefixed(const std::string& frame) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) {
    text += static_cast<char>(frame.size() >> static_cast<unsigned>(shift));
  }
  return text + frame;
}

}  // namespace sluice::link
