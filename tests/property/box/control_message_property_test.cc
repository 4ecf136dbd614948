// read(emit(x)) == x for setups of any content, however the stream is cut.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "box/guest/control_message.h"

namespace sluice::box {
namespace {

template <typename T>
T any() {
  return *rc::gen::arbitrary<T>();
}

wire::IpAddress any_address() {
  const auto octets = any<std::array<std::uint8_t, 16>>();
  return wire::IpAddress::v6(octets);
}

Setup any_setup() {
  Setup setup;
  setup.command = any<std::vector<std::string>>();
  setup.command.push_back(any<std::string>());
  setup.environment = any<std::vector<std::string>>();
  setup.directory = any<std::string>();
  setup.uid = any<std::uint32_t>();
  setup.groups = any<std::vector<std::uint32_t>>();
  if (any<bool>()) setup.terminal = Window{any<std::uint16_t>(), any<std::uint16_t>()};
  setup.overlay_bytes = any<std::uint64_t>();
  setup.network.gateways.push_back(any_address());
  setup.network.addresses.push_back({any_address(), any<std::uint8_t>()});
  for (const auto& text : any<std::vector<std::string>>()) {
    setup.files.push_back({text, any<std::string>()});
    setup.shares.push_back({text, any<std::string>(), any<bool>()});
  }
  return setup;
}

RC_GTEST_PROP(ControlMessageProperty, AStreamIsReadAsItWasWritten, ()) {
  const std::vector<HostMessage> messages = {any_setup(), InputEnd{any<std::uint64_t>()},
                                             any_setup()};
  std::vector<std::uint8_t> bytes;
  for (const HostMessage& each : messages) {
    const auto more = emit(each);
    bytes.insert(bytes.end(), more.begin(), more.end());
  }
  HostMessageReader reader;
  std::vector<HostMessage> read;
  ByteView rest = bytes;
  while (!rest.empty()) {
    const auto size = *rc::gen::inRange<std::size_t>(1, rest.size() + 1);
    reader.push(rest.first(size));
    rest = rest.subspan(size);
    while (true) {
      const auto next = reader.next();
      RC_ASSERT(next.has_value());
      if (!*next) break;
      read.push_back(**next);
    }
  }
  RC_ASSERT((read == messages));
}

}  // namespace
}  // namespace sluice::box
