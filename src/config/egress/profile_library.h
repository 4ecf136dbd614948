// Where profiles are: files of policy by the name of what they are for, as "python". Of folders
// that have the same name in them the first one counts.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::config {

class ProfileLibrary {
 public:
  explicit ProfileLibrary(std::vector<std::string> folders) : folders_(std::move(folders)) {}

  // The user's own, then those installed beside this program, or of the tree that it was built in.
  [[nodiscard]] static ProfileLibrary of_this_host();

  // Letters, digits and hyphens.
  [[nodiscard]] static bool is_name(std::string_view name);

  // The file; nothing if there is none. `name` is one.
  [[nodiscard]] std::optional<std::string> find(std::string_view name) const;
  // All names, sorted.
  [[nodiscard]] std::vector<std::string> names() const;
  [[nodiscard]] const std::vector<std::string>& folders() const { return folders_; }

 private:
  std::vector<std::string> folders_;
};

}  // namespace sluice::config
