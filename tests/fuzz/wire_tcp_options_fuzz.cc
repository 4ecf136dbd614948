// TCP options, of which a header holds at most 40 bytes.
#include <algorithm>
#include <array>
#include <cstdint>

#include "require.h"
#include "wire/transport/tcp_options.h"

using namespace sluice;
using namespace sluice::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const TcpOptions options =
      parse_tcp_options(ByteView(data, std::min<std::size_t>(size, kTcpOptionsSizeMax)));
  const std::size_t length = tcp_options_length(options);
  require(length <= kTcpOptionsSizeMax && length % 4 == 0, "options fit a header");

  std::array<std::uint8_t, kTcpOptionsSizeMax> out{};
  emit_tcp_options(options, MutableBytes(out).first(length));
  TcpOptions again = parse_tcp_options(ByteView(out).first(length));
  // Aligned options may leave room for fewer SACK blocks than packed ones.
  require(again.sack_count <= options.sack_count, "no SACK block is made up");
  require(std::ranges::equal(again.sacks(), options.sacks().first(again.sack_count)),
          "the first blocks stay");
  again.sack_count = options.sack_count;
  again.sack_blocks = options.sack_blocks;
  require(again == options, "all else stays");
  return 0;
}
