// Which modules need which: what depmod(8) left beside them, or what they say themselves. Pure.
//
// Names are as the kernel has them, with underscores, whatever their file is called.
#pragma once

#include <expected>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace sluice::box {

// "virtio_rng" of "kernel/drivers/char/hw_random/virtio-rng.ko.xz"; empty where it is no module.
[[nodiscard]] std::string module_name(std::string_view path);

struct ModuleEntry {
  std::string path;  // Below the folder of the kernel's modules.
  std::vector<std::string> needs = {};
};

class ModuleGraph {
 public:
  // modules.dep(5): a line for each module, with what it needs behind a colon.
  void add_dep_file(std::string_view text);
  // modules.builtin: a path for each that is part of the kernel.
  void add_builtin_file(std::string_view text);
  void add(ModuleEntry entry);

  // What add_dep_file() reads.
  [[nodiscard]] std::string dep_file() const;

  [[nodiscard]] std::vector<std::string> names() const;
  [[nodiscard]] ModuleEntry* find(const std::string& name);
  [[nodiscard]] bool is_builtin(const std::string& name) const { return builtin_.contains(name); }
  [[nodiscard]] bool knows(const std::string& name) const {
    return is_builtin(name) || modules_.contains(name);
  }

  // Paths of `wanted` and of all that they need, each behind what it needs and once; what is built
  // in is left out. Or the name of one that there is not.
  [[nodiscard]] std::expected<std::vector<std::string>, std::string> load_order(
      std::span<const std::string> wanted) const;

 private:
  std::map<std::string, ModuleEntry> modules_;
  std::set<std::string> builtin_;
};

// What an uncompressed module says that it needs ("depends=" of its section .modinfo).
[[nodiscard]] std::vector<std::string> needs_of_module(ByteView file);

}  // namespace sluice::box
