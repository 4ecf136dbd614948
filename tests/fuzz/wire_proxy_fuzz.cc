// PROXY protocol headers in front of a stream.
#include <array>
#include <cstdint>

#include "require.h"
#include "wire/transport/proxy_protocol.h"

using namespace sluice;
using namespace sluice::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  const auto parsed = parse_proxy_header(bytes);
  if (!parsed) return 0;
  require(parsed->size <= size, "a header lies inside the bytes");
  require(parsed->tlvs.size() <= parsed->size, "its TLVs lie inside the header");
  for (const std::size_t part : {std::size_t{0}, parsed->size / 2, parsed->size - 1}) {
    const auto early = parse_proxy_header(bytes.first(part));
    require(!early && early.error() == ParseError::kTruncated, "a part of a header waits for more");
  }
  const auto exact = parse_proxy_header(bytes.first(parsed->size));
  require(exact && exact->header == parsed->header, "what follows a header does not change it");

  std::array<std::uint8_t, kProxyEmitSizeMax> out{};
  const auto length = emit_proxy_header(parsed->header, out);
  require(length.has_value(), "a header that was read can be written");
  const auto again = parse_proxy_header(ByteView(out).first(*length));
  require(again && again->header == parsed->header && again->size == *length,
          "and read again as the same");
  return 0;
}
