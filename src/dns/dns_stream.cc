#include "dns/dns_stream.h"

#include <algorithm>

#include "dns/dns_relay.h"

namespace sluice::dns {
namespace {

constexpr std::size_t kLengthSize = 2;  // RFC 1035, 4.2.2

}  // namespace

std::size_t DnsStream::receive(ByteView bytes) {
  input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(input_begin_));
  input_begin_ = 0;
  const ByteView taken = bytes.first(std::min(bytes.size(), input_room()));
  input_.insert(input_.end(), taken.begin(), taken.end());
  return taken.size();
}

std::optional<std::size_t> DnsStream::next_length() const {
  const ByteView left = input();
  if (left.size() < kLengthSize) return std::nullopt;
  return be16<0>(left.first<kLengthSize>());
}

bool DnsStream::is_garbage() const {
  const auto length = next_length();
  return length && (*length < wire::kDnsHeaderSize || *length > DnsRelay::kQuerySizeMax);
}

std::optional<ByteView> DnsStream::next_question() {
  const auto length = next_length();
  if (!length || is_garbage() || input().size() < kLengthSize + *length) return std::nullopt;
  if (unanswered_ >= kQuestionsMax || output().size() >= kOutputHigh) return std::nullopt;
  const ByteView question = input().subspan(kLengthSize, *length);
  input_begin_ += kLengthSize + *length;
  ++unanswered_;
  return question;
}

void DnsStream::answer(ByteView message) {
  if (unanswered_ > 0) --unanswered_;
  output_.push_back(static_cast<std::uint8_t>(message.size() >> 8));
  output_.push_back(static_cast<std::uint8_t>(message.size()));
  output_.insert(output_.end(), message.begin(), message.end());
}

void DnsStream::discard(std::size_t bytes) {
  output_begin_ += std::min(bytes, output().size());
  if (output().size() > output_begin_) return;
  // Moved when that costs no more than what was written, so that a long connection stays small.
  output_.erase(output_.begin(), output_.begin() + static_cast<std::ptrdiff_t>(output_begin_));
  output_begin_ = 0;
}

bool DnsStream::is_done() const {
  if (!input_finished_ || unanswered_ > 0) return false;
  const auto length = next_length();
  return !length || is_garbage() || input().size() < kLengthSize + *length;
}

}  // namespace sluice::dns
