#include "telemetry/refused_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace sluice::telemetry {
namespace {

// More would be a page, not a line.
constexpr std::size_t kShown = 5;

}  // namespace

void RefusedNames::add(std::string_view name, std::string_view reason, std::uint64_t count) {
  const auto row = std::ranges::find_if(
      rows_, [&](const Row& r) { return r.name == name && r.reason == reason; });
  if (row != rows_.end()) {
    row->count += count;
  } else if (rows_.size() < kRowsMax) {
    rows_.push_back({std::string(name), reason, count});
  } else {
    others_ += count;
  }
}

void RefusedNames::add(const RefusedNames& other) {
  for (const Row& row : other.rows_) add(row.name, row.reason, row.count);
  others_ += other.others_;
}

std::string RefusedNames::text(std::string_view what) const {
  if (rows_.empty()) return {};
  std::vector<const Row*> rows;
  for (const Row& row : rows_) rows.push_back(&row);
  std::ranges::sort(rows, [](const Row* a, const Row* b) {
    return a->count != b->count ? a->count > b->count : a->name < b->name;
  });
  std::string text = fmt::format("{}{} name{} {}:", rows.size(), others_ > 0 ? " or more" : "",
                                 rows.size() == 1 && others_ == 0 ? "" : "s", what);
  std::string options;
  const std::size_t shown = std::min(rows.size(), kShown);
  for (std::size_t i = 0; i < shown; ++i) {
    fmt::format_to(std::back_inserter(text), "{} {} ×{} ({})", i == 0 ? "" : ",", rows[i]->name,
                   rows[i]->count, rows[i]->reason);
    if (rows[i]->reason == "name-unlisted") options += fmt::format(" --allow {}", rows[i]->name);
  }
  if (shown < rows.size() || others_ > 0) text += ", …";
  if (!options.empty()) text += fmt::format("; allow with{}", options);
  return text;
}

}  // namespace sluice::telemetry
