#include "app/guest/namespace_options.h"

#include <string>
#include <vector>

#include "app/guest/loopback_options.h"
#include "app/options/interface_name.h"
#include "app/options/value_option.h"

namespace sluice::app {
namespace {

constexpr std::uint16_t kMtuDefault = 1500;  // Offloads make larger ones unnecessary.

using Checked = std::expected<void, Mistake>;

constexpr config::Named<policy::FastPathUse> kFastPaths[] = {
    {"auto", policy::FastPathUse::kAuto},
    {"off", policy::FastPathUse::kOff},
    {"require", policy::FastPathUse::kRequire}};

Checked read_interface(const std::vector<std::string>& texts, NamespaceOptions& options) {
  for (const std::string& text : texts) {
    if (!is_interface_name(text) || text == "lo") {
      return fail(
          "--interface: '{}' cannot name the guest's interface; expected 1 to 15 characters "
          "without '/', ':', '%' or spaces, and not 'lo'",
          text);
    }
    options.interface = text;
  }
  return {};
}

Checked read_fast_path(const RawOptions& raw, NamespaceOptions& options) {
  for (const std::string& text : raw.all(OptionId::kFastPath)) {
    const auto when = parse_named("--fast-path", text, kFastPaths);
    if (!when) return std::unexpected(when.error());
    options.fast_path = *when;
  }
  return {};
}

}  // namespace

std::expected<void, Mistake> read_namespace_options(const RawOptions& raw,
                                                    NamespaceOptions& options) {
  if (auto ok = read_guest_options(raw, kMtuDefault, options); !ok) return ok;
  if (auto ok = read_interface(raw.all(OptionId::kInterface), options); !ok) return ok;
  if (auto ok = read_loopback_options(raw, options); !ok) return ok;
  return read_fast_path(raw, options);
}

}  // namespace sluice::app
