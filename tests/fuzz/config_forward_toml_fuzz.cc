// The TOML form from any bytes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "config/forward_config.h"
#include "config_plan_checks.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  require_sound(config::parse_forward_toml(text, "f"));
  return 0;
}
