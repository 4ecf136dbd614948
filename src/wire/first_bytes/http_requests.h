// What a client sends on a connection of HTTP/1 (RFC 9112), for whoever has to judge every request
// before the server gets it: heads are held until they are whole, bodies (Content-Length bytes, or
// chunks) pass as they come.
//
// After an upgrade to WebSocket the bytes are no requests any more, but only if the server has
// agreed: until it has answered, they are held. Bounded; no memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "wire/first_bytes/http_head.h"

namespace sluice::wire {

class HttpRequests {
 public:
  enum class Step : std::uint8_t {
    kNeedMore,  // The beginning of a head: to be kept, and given again with more.
    kHead,      // The first `size` bytes are a head.
    kBody,      // The first `size` bytes need no judgement.
    kFault,     // See `head.fault`. Nothing of it may be passed.
  };
  struct Next {
    Step step = Step::kNeedMore;
    std::size_t size = 0;
    HttpHead head{};
  };

  // What comes next. `bytes`, at least one, follow on what was a head or body before. Of these
  // `seen` were given before already, and needed more.
  [[nodiscard]] Next next(ByteView bytes, std::size_t seen = 0);

  // What the server says: it decides what follows on an upgrade that the client asked for. Only
  // the answer to a connection's first request can be told from others; a client that asks for an
  // upgrade later, or that the server was quicker than, goes on with requests. Returns whether
  // bytes that waited for it are to be given again. The bytes are looked at if it listens() only.
  bool hear(ByteView answer);
  // An upgrade waits for the answer.
  [[nodiscard]] bool listens() const { return state_ == State::kSwitching; }
  // The server has agreed to speak WebSocket: nothing more is looked at.
  [[nodiscard]] bool is_opaque() const { return state_ == State::kOpaque; }

 private:
  enum class State : std::uint8_t {
    kHead,
    kBody,
    kChunkSize,
    kChunkExtension,
    kChunkSizeEnd,  // The LF behind a chunk's size.
    kChunkData,
    kChunkDataCr,
    kChunkDataLf,
    kTrailerStart,
    kTrailer,
    kTrailerLf,
    kTrailersLf,  // The LF of the empty line.
    kSwitching,
    kOpaque,
  };

  [[nodiscard]] Next next_head(ByteView bytes, std::size_t seen);
  [[nodiscard]] Next next_body(ByteView bytes);
  // One byte of the lines around chunks. False where it may not stand.
  [[nodiscard]] bool step_chunk(std::uint8_t byte);
  [[nodiscard]] bool step_size(std::uint8_t byte);
  [[nodiscard]] bool step_trailer(std::uint8_t byte);
  void begin_line(State state) {
    state_ = state;
    line_ = 0;
  }

  State state_ = State::kHead;
  std::uint64_t left_ = 0;  // Of a body or a chunk; or its size, as far as it was read.
  std::uint32_t line_ = 0;  // Bytes of the line, or of all trailers.
  std::uint8_t heard_ = 0;  // Of the server's answer.
  bool requested_ = false;  // There was a head.
  bool spoken_ = false;     // The server said something that no upgrade waited for.
};

}  // namespace sluice::wire
