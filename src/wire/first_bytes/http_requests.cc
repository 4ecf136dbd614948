#include "wire/first_bytes/http_requests.h"

#include <algorithm>
#include <string_view>

namespace sluice::wire {
namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::string_view kSwitching = "HTTP/1.1 101 ";
// Of a chunk's line, and of all trailers together.
constexpr std::uint32_t kChunkLineMax = 256;
constexpr std::uint32_t kTrailersMax = 4096;

constexpr bool is_text(std::uint8_t byte) { return (byte >= 0x20 && byte != 0x7f) || byte == '\t'; }
// Not a digit: -1.
constexpr int hexadecimal(std::uint8_t byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  const int letter = byte | 0x20;
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

[[nodiscard]] HttpRequests::Next fault(HttpFault fault) {
  return {.step = HttpRequests::Step::kFault, .head = {.fault = fault}};
}

}  // namespace

HttpRequests::Next HttpRequests::next(ByteView bytes, std::size_t seen) {
  switch (state_) {
    case State::kHead: return next_head(bytes, seen);
    case State::kSwitching: return {.step = Step::kNeedMore};
    case State::kOpaque: return {.step = Step::kBody, .size = bytes.size()};
    case State::kBody:
    case State::kChunkSize:
    case State::kChunkExtension:
    case State::kChunkSizeEnd:
    case State::kChunkData:
    case State::kChunkDataCr:
    case State::kChunkDataLf:
    case State::kTrailerStart:
    case State::kTrailer:
    case State::kTrailerLf:
    case State::kTrailersLf: return next_body(bytes);
  }
  return fault(HttpFault::kSyntax);
}

// The end may have begun in what was seen before.
HttpRequests::Next HttpRequests::next_head(ByteView bytes, std::size_t seen) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                              std::min(bytes.size(), kHttpHeadSizeMax));
  const std::size_t from = seen < kHeadEnd.size() ? 0 : seen - (kHeadEnd.size() - 1);
  const std::size_t end = text.find(kHeadEnd, from);
  if (end == std::string_view::npos) {
    // A line that ends with LF alone is none, and its head would never end.
    for (std::size_t lf = text.find('\n', seen); lf != std::string_view::npos;
         lf = text.find('\n', lf + 1)) {
      if (lf == 0 || text[lf - 1] != '\r') return fault(HttpFault::kSyntax);
    }
    if (bytes.size() < kHttpHeadSizeMax) return {.step = Step::kNeedMore};
    return fault(HttpFault::kTooLong);
  }
  const std::size_t size = end + kHeadEnd.size();
  Next next{.step = Step::kHead, .size = size, .head = read_http_head(bytes.first(size))};
  const HttpHead& head = next.head;
  if (head.fault != HttpFault::kNone) {
    next.step = Step::kFault;
    return next;
  }
  left_ = head.body;
  if (head.chunked) {
    begin_line(State::kChunkSize);
    left_ = 0;
  } else if (head.websocket && !requested_ && !spoken_) {
    state_ = State::kSwitching;
  } else if (left_ > 0) {
    state_ = State::kBody;
  }
  requested_ = true;
  return next;
}

HttpRequests::Next HttpRequests::next_body(ByteView bytes) {
  std::size_t at = 0;
  while (at < bytes.size() && state_ != State::kHead) {
    if (state_ == State::kBody || state_ == State::kChunkData) {
      const std::uint64_t part = std::min<std::uint64_t>(left_, bytes.size() - at);
      left_ -= part;
      at += part;
      if (left_ == 0) state_ = state_ == State::kBody ? State::kHead : State::kChunkDataCr;
    } else if (!step_chunk(bytes[at++])) {
      return fault(HttpFault::kFraming);
    }
  }
  return {.step = Step::kBody, .size = at};
}

bool HttpRequests::step_chunk(std::uint8_t byte) {
  switch (state_) {
    case State::kChunkSize:
    case State::kChunkExtension:
    case State::kChunkSizeEnd: return step_size(byte);
    case State::kTrailerStart:
    case State::kTrailer:
    case State::kTrailerLf:
    case State::kTrailersLf: return step_trailer(byte);
    case State::kChunkDataCr: state_ = State::kChunkDataLf; return byte == '\r';
    case State::kChunkDataLf:
      begin_line(State::kChunkSize);
      left_ = 0;
      return byte == '\n';
    case State::kHead:
    case State::kBody:
    case State::kChunkData:
    case State::kSwitching:
    case State::kOpaque: break;
  }
  return false;
}

// RFC 9112, 7.1: hexadecimal digits, and extensions behind a semicolon, which nobody uses.
bool HttpRequests::step_size(std::uint8_t byte) {
  constexpr std::uint32_t kDigitsMax = 15;
  if (state_ == State::kChunkSizeEnd) {
    if (left_ > 0) {
      state_ = State::kChunkData;
    } else {
      begin_line(State::kTrailerStart);
    }
    return byte == '\n';
  }
  const bool digits = state_ == State::kChunkSize;
  if (++line_ > kChunkLineMax || (digits && line_ == 1 && hexadecimal(byte) < 0)) return false;
  if (byte == '\r') {
    state_ = State::kChunkSizeEnd;
    return true;
  }
  if (digits && byte == ';') {
    state_ = State::kChunkExtension;
    return true;
  }
  if (!digits) return is_text(byte);
  const int value = hexadecimal(byte);
  if (value < 0 || line_ > kDigitsMax) return false;
  left_ = (left_ << 4U) + static_cast<std::uint64_t>(value);
  return true;
}

// RFC 9112, 7.1.2: fields, which are no request's, and an empty line.
bool HttpRequests::step_trailer(std::uint8_t byte) {
  if (++line_ > kTrailersMax) return false;
  if (state_ == State::kTrailerStart) {
    state_ = byte == '\r' ? State::kTrailersLf : State::kTrailer;
    return byte == '\r' || (is_text(byte) && byte != ' ' && byte != '\t');
  }
  if (state_ == State::kTrailer) {
    if (byte == '\r') state_ = State::kTrailerLf;
    return byte == '\r' || is_text(byte);
  }
  state_ = state_ == State::kTrailerLf ? State::kTrailerStart : State::kHead;
  return byte == '\n';
}

bool HttpRequests::hear(ByteView answer) {
  if (state_ != State::kSwitching) {
    spoken_ = true;
    return false;
  }
  for (const std::uint8_t byte : answer) {
    if (byte != static_cast<std::uint8_t>(kSwitching[heard_])) {
      state_ = State::kHead;
      return true;
    }
    if (++heard_ == kSwitching.size()) {
      state_ = State::kOpaque;
      return true;
    }
  }
  return false;
}

}  // namespace sluice::wire
