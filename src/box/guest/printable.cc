#include "box/guest/printable.h"

#include <cstdint>

namespace sluice::box {

void make_printable(std::string& text) {
  std::uint8_t before = 0;
  for (char& c : text) {
    const auto byte = static_cast<std::uint8_t>(c);
    const bool c1 = before == 0xc2 && byte >= 0x80 && byte < 0xa0;
    if (byte < 0x20 || byte == 0x7f || c1) c = '?';
    before = byte;
  }
}

}  // namespace sluice::box
