// Names that a guest asked for and may not reach, for the line after its command: which, how often
// and why. Bounded, as the guest chooses the names; what has no place is only counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::telemetry {

class RefusedNames {
 public:
  static constexpr std::size_t kRowsMax = 64;

  // `name` is fit for a terminal; `reason` is a word that lives on (policy::reason_id()).
  void add(std::string_view name, std::string_view reason, std::uint64_t count = 1);
  // Those of another worker of the same guest.
  void add(const RefusedNames& other);

  // "2 names refused: telemetry.example ×12 (name-unlisted), …; allow with --allow
  // telemetry.example": the most asked for come first. Without an end of line; empty: none was
  // refused.
  // ... `what` it is that happened to them: "refused".
  [[nodiscard]] std::string text(std::string_view what = "refused") const;

  struct Row {
    std::string name;
    std::string_view reason;
    std::uint64_t count = 0;
  };
  // In the order in which they were refused first.
  [[nodiscard]] const std::vector<Row>& rows() const { return rows_; }
  // Questions for names that have no row.
  [[nodiscard]] std::uint64_t others() const { return others_; }

 private:
  std::vector<Row> rows_;
  std::uint64_t others_ = 0;
};

}  // namespace sluice::telemetry
