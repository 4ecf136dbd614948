// The bytes of a guest's connection to our DNS, cut in any way, with answers and reads in between:
// what comes out is what a plain reading of the frames says, and the bounds hold.
//
// Input, again and again: kind, length (2 bytes), and for arriving bytes these.
#include <algorithm>
#include <vector>

#include "dns/dns_relay.h"
#include "dns/dns_stream.h"
#include "require.h"
#include "wire/byte_cursor.h"

namespace {

using namespace sluice;
using Bytes = std::vector<std::uint8_t>;

class Harness {
 public:
  void step(wire::ByteReader& input) {
    const std::uint8_t kind = input.u8();
    const std::size_t size = input.u16();
    switch (kind % 4) {
      case 0: receive(input.take(std::min(size, input.rest().size()))); break;
      case 1: answer(size); break;
      case 2: read(size); break;
      case 3:
        stream_.finish_input();
        finished_ = true;
        break;
    }
    ask();
    require(stream_.input_room() <= dns::DnsStream::kInputMax, "input stays within its bound");
    require(stream_.unanswered() <= dns::DnsStream::kQuestionsMax,
            "questions stay within their bound");
    require(stream_.output().size() == expected_output_.size() - read_, "answers are kept");
  }

 private:
  void receive(ByteView bytes) {
    if (finished_) return;
    const std::size_t room = stream_.input_room();
    const std::size_t taken = stream_.receive(bytes);
    require(taken == std::min(room, bytes.size()), "as much is taken as there is room for");
    arrived_.insert(arrived_.end(), bytes.begin(),
                    bytes.begin() + static_cast<std::ptrdiff_t>(taken));
  }

  void ask() {
    while (const auto question = stream_.next_question()) {
      require(at_ + 2 <= arrived_.size(), "a question has arrived");
      const std::size_t length = be16<0>(ByteView(arrived_).subspan(at_).first<2>());
      require(length >= wire::kDnsHeaderSize && length <= dns::DnsRelay::kQuerySizeMax,
              "a question has the size of one");
      require(at_ + 2 + length <= arrived_.size(), "a question is whole");
      require(std::ranges::equal(*question, ByteView(arrived_).subspan(at_ + 2, length)),
              "a question is what arrived");
      at_ += 2 + length;
      ++unanswered_;
      require(stream_.unanswered() == unanswered_, "questions are counted");
    }
    if (stream_.is_garbage()) {
      require(!stream_.next_question().has_value(), "nothing follows garbage");
    }
    if (stream_.is_done()) require(finished_ && unanswered_ == 0, "all is answered at the end");
  }

  void answer(std::size_t size) {
    if (unanswered_ == 0) return;
    --unanswered_;
    const Bytes message(size, static_cast<std::uint8_t>(size));
    expected_output_.push_back(static_cast<std::uint8_t>(size >> 8));
    expected_output_.push_back(static_cast<std::uint8_t>(size));
    expected_output_.insert(expected_output_.end(), message.begin(), message.end());
    stream_.answer(message);
  }

  void read(std::size_t size) {
    const ByteView output = stream_.output();
    require(std::ranges::equal(output, ByteView(expected_output_).subspan(read_)),
            "what is read is what was answered");
    const std::size_t part = std::min(size, output.size());
    stream_.discard(part);
    read_ += part;
  }

  dns::DnsStream stream_;
  Bytes arrived_;
  std::size_t at_ = 0;
  std::size_t unanswered_ = 0;
  Bytes expected_output_;
  std::size_t read_ = 0;
  bool finished_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wire::ByteReader input(ByteView(data, size));
  Harness harness;
  while (!input.empty()) harness.step(input);
  return 0;
}
