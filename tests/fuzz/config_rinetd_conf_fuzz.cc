// rinetd.conf from any bytes. Each line is tried as an address pattern and as words of a command
// line too.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "config/forward_config.h"
#include "config_plan_checks.h"
#include "policy/access_list.h"

using namespace sluice;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  require_sound(config::parse_rinetd_conf(text, "f"));

  const wire::IpAddress client = wire::IpAddress::v4(0x0a00'0001U);
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (const auto pattern = policy::AddressPattern::parse(line)) {
      require(pattern->text() == line, "a pattern keeps its text");
      const bool matched = pattern->matches(client, wire::to_string(client));
      require(matched || line != "*", "a star matches everybody");
    }
    const std::size_t blank = line.find(' ');
    if (blank == std::string_view::npos) continue;
    const auto rule = config::parse_rule_words(line.substr(0, blank), line.substr(blank + 1));
    if (!rule) {
      require(!rule.error().empty(), "a refusal has a reason");
      continue;
    }
    const auto again =
        config::parse_rule_words(to_string(rule->listen), to_string(rule->targets.front().place));
    require(again && again->name == rule->name, "a place reads back from its text");
  }
  return 0;
}
