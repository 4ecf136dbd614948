// What runs answer, as people read it: columns that stand under each other.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::app {

// What a terminal may show of any text: a run that was taken over may answer anything.
[[nodiscard]] std::string shown(std::string text);

// Into how wide a terminal a table is to fit, and what it gives up for that, by title.
struct TableFit {
  std::size_t width = 0;       // 0: as wide as it is, as for a pipe.
  std::string_view drop = {};  // This column is left out first,
  std::string_view cut = {};   // then of this one the ends are shown, where it says whose it is.
};

// The columns of standard output; 0: it is no terminal.
[[nodiscard]] std::size_t terminal_width();

// Rows of a table; the first one is its head. What is counted stands right.
class Table {
 public:
  explicit Table(std::vector<std::string> head) { add(std::move(head)); }
  // As many cells as the head has.
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  [[nodiscard]] std::size_t rows() const { return rows_.size() - 1; }
  // A line each, without spaces at their ends.
  [[nodiscard]] std::string text(const TableFit& fit = {}) const;

 private:
  // Of each column; nothing: it is left out.
  [[nodiscard]] std::vector<std::optional<std::size_t>> widths(const TableFit& fit) const;

  std::vector<std::vector<std::string>> rows_;
};

// The line of a flow, of a run, as one row; empty where it is none.
[[nodiscard]] std::vector<std::string> flow_head();
[[nodiscard]] std::vector<std::string> flow_row(std::string_view line);
// ... of a rule of its policy, and of a name that was refused.
[[nodiscard]] std::vector<std::string> rule_head();
[[nodiscard]] std::vector<std::string> rule_row(std::string_view line);
[[nodiscard]] std::vector<std::string> refused_head();
[[nodiscard]] std::vector<std::string> refused_row(std::string_view line);
[[nodiscard]] std::vector<std::string> run_head();
[[nodiscard]] std::vector<std::string> run_row(std::string_view line);
// Of one run, all that its status has: a line each.
[[nodiscard]] std::string status_lines(std::string_view line);
// The line of one of its limits; empty where it is none.
[[nodiscard]] std::string limit_line(std::string_view line);

}  // namespace sluice::app
