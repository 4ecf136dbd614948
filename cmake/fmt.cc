// The implementation of fmt, compiled once. Debian installs it as a header; its shared library
// would bring a second C++ runtime into each start (docs/adr/0004-logging.md).
#include <fmt/format-inl.h>

// Declared by <fmt/format.h>, <fmt/core.h> and <fmt/chrono.h>, so they have to be somewhere.
FMT_BEGIN_NAMESPACE
namespace detail {
template FMT_API dragonbox::decimal_fp<float> dragonbox::to_decimal(float);
template FMT_API dragonbox::decimal_fp<double> dragonbox::to_decimal(double);
template FMT_API thousands_sep_result<char> thousands_sep_impl(locale_ref);
template FMT_API char decimal_point_impl(locale_ref);
template FMT_API std::locale locale_ref::get<std::locale>() const;
template FMT_API void buffer<char>::append(const char*, const char*);
template FMT_API void vformat_to(buffer<char>&, string_view, format_args, locale_ref);
}  // namespace detail
FMT_END_NAMESPACE
