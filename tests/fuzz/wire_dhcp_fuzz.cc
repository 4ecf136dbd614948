// DHCP and DHCPv6 messages. The first byte of the input chooses: 6 is DHCPv6.
#include <cstdint>
#include <vector>

#include "require.h"
#include "wire/messages/dhcp.h"
#include "wire/messages/dhcpv6.h"

using namespace sluice;
using namespace sluice::wire;

namespace {

template <typename Message>
void check(ByteView bytes) {
  const auto message = Message::parse(bytes);
  if (!message) return;
  // An emitted message is longer than the one read only by padding and options once shared.
  std::vector<std::uint8_t> out(2 * bytes.size() + 16'384);
  const auto length = message->emit(out);
  require(length.has_value(), "a message that was read can be written");
  const auto again = Message::parse(ByteView(out).first(*length));
  require(again.has_value(), "what was written can be read");
  require(*again == *message, "and it is the same message");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView bytes(data + 1, size - 1);
  if (data[0] == 6) {
    check<Dhcpv6Message>(bytes);
  } else {
    check<DhcpMessage>(bytes);
  }
  return 0;
}
