// One connection of the guest's to our DNS address, as bytes (RFC 1035, 4.2.2; RFC 7766): cuts
// messages out of what arrives, and keeps answers until the guest has them. Answers may leave in
// another order than the questions came. Bounded in what waits on either side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"

namespace sluice::dns {

class DnsStream {
 public:
  // What the guest may send ahead of us: its window. A whole question fits.
  static constexpr std::size_t kInputMax = 16 * 1024;
  static constexpr std::size_t kQuestionsMax = 128;  // Asked and not answered.
  // With so much unread by the guest no further question is taken up.
  static constexpr std::size_t kOutputHigh = 64 * 1024;

  // What arrived; takes as much as there is room for and says how much.
  [[nodiscard]] std::size_t receive(ByteView bytes);
  [[nodiscard]] std::size_t input_room() const { return kInputMax - input().size(); }

  // The next whole question, if it may be asked now; it counts as asked. Valid until receive().
  [[nodiscard]] std::optional<ByteView> next_question();
  // What stands there cannot be a DNS message: nothing will be understood any more.
  [[nodiscard]] bool is_garbage() const;
  // The question needs no answer after all.
  void forget_question() { --unanswered_; }

  // One answer to a question that was taken.
  void answer(ByteView message);
  // What the guest does not have yet. Valid until answer() or discard().
  [[nodiscard]] ByteView output() const { return ByteView(output_).subspan(output_begin_); }
  void discard(std::size_t bytes);

  // The guest sends no more.
  void finish_input() { input_finished_ = true; }
  // Nothing more will be added to output().
  [[nodiscard]] bool is_done() const;
  [[nodiscard]] std::size_t unanswered() const { return unanswered_; }

 private:
  [[nodiscard]] ByteView input() const { return ByteView(input_).subspan(input_begin_); }
  // Of the message at the front; nothing while its length is not there.
  [[nodiscard]] std::optional<std::size_t> next_length() const;

  std::vector<std::uint8_t> input_;
  std::size_t input_begin_ = 0;
  std::vector<std::uint8_t> output_;
  std::size_t output_begin_ = 0;
  std::size_t unanswered_ = 0;
  bool input_finished_ = false;
};

}  // namespace sluice::dns
