#include "config/egress/name_facts.h"

#include <dlfcn.h>
#include <idn2.h>
#include <libpsl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

namespace sluice::config {
namespace {

// Of the library `file`, which stays loaded; null where there is none.
template <typename Function>
Function* function_of(const char* file, const char* name) {
  void* const library = ::dlopen(file, RTLD_NOW | RTLD_LOCAL);
  return library == nullptr ? nullptr : reinterpret_cast<Function*>(::dlsym(library, name));
}

constexpr const char* kIdn2 = "libidn2.so.0";
constexpr const char* kPsl = "libpsl.so.5";

// Of these the list of public suffixes has none, or only some of those below.
constexpr std::array<std::string_view, 5> kSharedHosts{"storage.googleapis.com",
                                                       "googleusercontent.com", "amazonaws.com",
                                                       "blob.core.windows.net", "core.windows.net"};

}  // namespace

std::expected<std::string, std::string> to_a_labels(const std::string& name) {
  static auto* const convert = function_of<decltype(idn2_to_ascii_8z)>(kIdn2, "idn2_to_ascii_8z");
  static auto* const release = function_of<decltype(idn2_free)>(kIdn2, "idn2_free");
  if (convert == nullptr || release == nullptr) {
    return std::unexpected("the name as A-labels (xn--…), as libidn2 is not installed");
  }
  char* made = nullptr;
  if (convert(name.c_str(), &made, IDN2_NONTRANSITIONAL) != IDN2_OK) {
    return std::unexpected("a name that IDNA has a form of (RFC 5891)");
  }
  const std::unique_ptr<char, decltype(release)> owned(made, release);
  return std::string(made);
}

Registrations registrations_below(const std::string& name) {
  static auto* const list = function_of<decltype(psl_builtin)>(kPsl, "psl_builtin");
  static auto* const is_suffix =
      function_of<decltype(psl_is_public_suffix2)>(kPsl, "psl_is_public_suffix2");
  if (std::ranges::find(kSharedHosts, name) != kSharedHosts.end()) return Registrations::kShared;
  if (list == nullptr || is_suffix == nullptr) return Registrations::kUnknown;
  // A name of one label that the list has not is a network's own.
  const auto is = [&](int type) {
    return is_suffix(list(), name.c_str(), type | PSL_TYPE_NO_STAR_RULE) != 0;
  };
  if (is(PSL_TYPE_ICANN)) return Registrations::kPublic;
  return is(PSL_TYPE_PRIVATE) ? Registrations::kShared : Registrations::kNone;
}

std::string registrable_domain(const std::string& name) {
  static auto* const list = function_of<decltype(psl_builtin)>(kPsl, "psl_builtin");
  static auto* const domain =
      function_of<decltype(psl_registrable_domain)>(kPsl, "psl_registrable_domain");
  for (const std::string_view shared : kSharedHosts) {
    if (name == shared) return {};
    if (!name.ends_with(shared) || name[name.size() - shared.size() - 1] != '.') continue;
    const std::string_view below(name.data(), name.size() - shared.size() - 1);
    const std::size_t dot = below.rfind('.');
    return name.substr(dot == std::string_view::npos ? 0 : dot + 1);
  }
  if (list == nullptr || domain == nullptr) return {};
  const char* const found = domain(list(), name.c_str());
  return found == nullptr ? std::string() : std::string(found);
}

}  // namespace sluice::config
