// The control port between the host and its guest, both ways: any bytes, cut anywhere.
#include <cstdint>

#include "box/guest/control_message.h"
#include "require.h"

using namespace sluice;
using namespace sluice::box;

namespace {

template <typename Message>
void read_all(ByteView bytes, std::size_t piece) {
  MessageReader<Message> reader;
  bool broken = false;
  while (!bytes.empty()) {
    const std::size_t size = piece < bytes.size() ? piece : bytes.size();
    reader.push(bytes.first(size));
    bytes = bytes.subspan(size);
    while (true) {
      auto next = reader.next();
      require(!broken || !next, "nothing is heard behind what is no message");
      broken = !next;
      if (broken || !*next) break;
      MessageReader<Message> second;
      second.push(emit(**next));
      const auto again = second.next();
      require(again && *again && **again == **next, "what was read is written as the same");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = std::size_t{data[0]} + 1;
  read_all<HostMessage>(ByteView(data, size).subspan(1), piece);
  read_all<GuestMessage>(ByteView(data, size).subspan(1), piece);
  return 0;
}
