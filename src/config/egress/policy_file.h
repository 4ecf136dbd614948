// Files of policy and profiles, which are the same: TOML. man/sluice-policy.5 has every key. An
// unknown key is an error, as a rule that has no effect lets through what its writer meant to stop.
// Nothing is opened but the file and the profiles that it uses.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "config/egress/policy_parts.h"
#include "config/egress/profile_library.h"
#include "config/forward_config.h"

namespace sluice::config {

// Of a profile, what a person should know before it is used.
struct ProfileNote {
  std::string about;
  std::string risk;
};

class PolicyReader {
 public:
  // Both must outlive the reader.
  PolicyReader(const ProfileLibrary& library, PolicyParts& parts)
      : library_(&library), parts_(&parts) {}

  // Adds what the file says. A file or a profile that was added before adds nothing.
  [[nodiscard]] std::expected<ProfileNote, ConfigErrors> add_file(const std::string& path);
  [[nodiscard]] std::expected<ProfileNote, ConfigErrors> add_profile(const std::string& name);
  // The text of a file, called `label` in the ids of its rules and `file` in messages.
  [[nodiscard]] std::expected<ProfileNote, ConfigErrors> add_text(std::string_view text,
                                                                  const std::string& file,
                                                                  const std::string& label);

 private:
  [[nodiscard]] bool is_new(const std::string& source);

  const ProfileLibrary* library_;
  PolicyParts* parts_;
};

}  // namespace sluice::config
