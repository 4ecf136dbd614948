// ClientHellos, read again with every segment.
#include <algorithm>
#include <cstdint>

#include "require.h"
#include "wire/first_bytes/client_hello.h"

using namespace sluice;
using namespace sluice::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using Finding = ClientHello::Finding;
  const ByteView bytes(data, size);
  const ClientHello whole = read_client_hello(bytes);
  if (whole.finding == Finding::kServerName) {
    require(!whole.server_name.is_root(), "a server's name is not the root");
  }
  if (whole.finding == Finding::kNeedMore) {
    require(size < kClientHelloSizeMax, "nobody waits for more than there may be");
  }
  // What was found of a beginning is found of the whole: a verdict stands.
  const std::size_t step = std::max<std::size_t>(1, size / 16);
  for (std::size_t part = 0; part < size; part += step) {
    const ClientHello early = read_client_hello(bytes.first(part));
    if (early.finding == Finding::kNeedMore) continue;
    require(early.finding == whole.finding, "more bytes do not change what was found");
    require(early.server_name == whole.server_name, "nor the name");
    require(early.encrypted == whole.encrypted, "nor whether it is encrypted");
  }
  return 0;
}
