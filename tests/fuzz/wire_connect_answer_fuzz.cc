// Answers of proxies, whole and as they come: what is said of a beginning and of the whole agrees.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "require.h"
#include "wire/messages/connect_tunnel.h"

namespace {

using sluice::ByteView;
using sluice::require;
using sluice::wire::ConnectAnswer;
using Kind = ConnectAnswer::Kind;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView all(data, size);
  const ConnectAnswer whole = sluice::wire::read_connect_answer(all);
  const std::size_t steps = std::min<std::size_t>(size, 256);
  for (std::size_t i = 0; i <= steps; ++i) {
    const ConnectAnswer some = sluice::wire::read_connect_answer(all.first(size * i / (steps + 1)));
    // Once it is decided, more bytes do not change it.
    require(some.kind == Kind::kNeedMore || (some.kind == whole.kind && some.size == whole.size),
            "what is decided stays so");
  }
  if (whole.kind == Kind::kOpen) {
    require(whole.status >= 200 && whole.status < 300, "an open tunnel has a status of success");
    require(whole.size >= 16 && whole.size <= size && whole.size <= sluice::wire::kConnectAnswerMax,
            "a head lies inside the bytes and its bound");
    require(std::equal(data + whole.size - 4, data + whole.size, "\r\n\r\n"),
            "a head ends with an empty line");
  }
  return 0;
}
