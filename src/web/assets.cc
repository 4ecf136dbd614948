// Taken in by the assembler: sluice stays one file.
#include "web/assets.h"

#include <algorithm>
#include <array>
#include <cstddef>

// SLUICE_WEB_FILES is the folder that they are in.
#define SLUICE_WEB_FILE(name, file)                         \
  __asm__(                                                  \
      ".pushsection .rodata.sluice_web, \"a\", @progbits\n" \
      ".globl sluice_web_" name                             \
      "_begin\n"                                            \
      "sluice_web_" name                                    \
      "_begin:\n"                                           \
      ".incbin \"" SLUICE_WEB_FILES "/" file                \
      "\"\n"                                                \
      ".globl sluice_web_" name                             \
      "_end\n"                                              \
      "sluice_web_" name                                    \
      "_end:\n"                                             \
      ".popsection\n")

SLUICE_WEB_FILE("index", "index.html");
SLUICE_WEB_FILE("style", "style.css");
SLUICE_WEB_FILE("icon", "icon.svg");
SLUICE_WEB_FILE("app", "app.js");
SLUICE_WEB_FILE("api", "api.js");
SLUICE_WEB_FILE("dom", "dom.js");
SLUICE_WEB_FILE("filter", "filter.js");
SLUICE_WEB_FILE("model", "model.js");
SLUICE_WEB_FILE("now", "now.js");
SLUICE_WEB_FILE("pending", "pending.js");
SLUICE_WEB_FILE("tables", "tables.js");

#undef SLUICE_WEB_FILE

extern "C" {
extern const char sluice_web_index_begin[], sluice_web_index_end[];
extern const char sluice_web_style_begin[], sluice_web_style_end[];
extern const char sluice_web_icon_begin[], sluice_web_icon_end[];
extern const char sluice_web_app_begin[], sluice_web_app_end[];
extern const char sluice_web_api_begin[], sluice_web_api_end[];
extern const char sluice_web_dom_begin[], sluice_web_dom_end[];
extern const char sluice_web_filter_begin[], sluice_web_filter_end[];
extern const char sluice_web_model_begin[], sluice_web_model_end[];
extern const char sluice_web_now_begin[], sluice_web_now_end[];
extern const char sluice_web_pending_begin[], sluice_web_pending_end[];
extern const char sluice_web_tables_begin[], sluice_web_tables_end[];
}

namespace sluice::web {
namespace {

constexpr std::string_view kScript = "text/javascript; charset=utf-8";

[[nodiscard]] std::string_view between(const char* begin, const char* end) {
  return {begin, static_cast<std::size_t>(end - begin)};
}

[[nodiscard]] const auto& all_assets() {
  static const std::array kAssets{
      Asset{"/", "text/html; charset=utf-8", between(sluice_web_index_begin, sluice_web_index_end)},
      Asset{"/style.css", "text/css; charset=utf-8",
            between(sluice_web_style_begin, sluice_web_style_end)},
      Asset{"/icon.svg", "image/svg+xml", between(sluice_web_icon_begin, sluice_web_icon_end)},
      Asset{"/app.js", kScript, between(sluice_web_app_begin, sluice_web_app_end)},
      Asset{"/api.js", kScript, between(sluice_web_api_begin, sluice_web_api_end)},
      Asset{"/dom.js", kScript, between(sluice_web_dom_begin, sluice_web_dom_end)},
      Asset{"/filter.js", kScript, between(sluice_web_filter_begin, sluice_web_filter_end)},
      Asset{"/model.js", kScript, between(sluice_web_model_begin, sluice_web_model_end)},
      Asset{"/now.js", kScript, between(sluice_web_now_begin, sluice_web_now_end)},
      Asset{"/pending.js", kScript, between(sluice_web_pending_begin, sluice_web_pending_end)},
      Asset{"/tables.js", kScript, between(sluice_web_tables_begin, sluice_web_tables_end)},
  };
  return kAssets;
}

}  // namespace

const Asset* find_asset(std::string_view path) {
  const auto& assets = all_assets();
  const auto* const found = std::ranges::find(assets, path, &Asset::path);
  return found == assets.end() ? nullptr : found;
}

}  // namespace sluice::web
