#include "box/image/module_graph.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace sluice::box {
namespace {

// Calls `each` for every piece between `separator`s that is not empty.
template <typename Each>
void for_each_piece(std::string_view text, char separator, Each&& each) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (end > 0) each(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace

std::string module_name(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0.
  const std::size_t suffix = name.find(".ko");
  if (suffix == std::string_view::npos) return "";
  const std::string_view rest = name.substr(suffix + 3);
  if (!rest.empty() && rest != ".xz" && rest != ".zst" && rest != ".gz") return "";
  std::string plain(name.substr(0, suffix));
  std::ranges::replace(plain, '-', '_');
  return plain;
}

void ModuleGraph::add_dep_file(std::string_view text) {
  for_each_piece(text, '\n', [this](std::string_view line) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    ModuleEntry entry{std::string(line.substr(0, colon))};
    for_each_piece(line.substr(colon + 1), ' ',
                   [&entry](std::string_view path) { entry.needs.push_back(module_name(path)); });
    add(std::move(entry));
  });
}

void ModuleGraph::add_builtin_file(std::string_view text) {
  for_each_piece(text, '\n', [this](std::string_view path) {
    if (std::string name = module_name(path); !name.empty()) builtin_.insert(std::move(name));
  });
}

void ModuleGraph::add(ModuleEntry entry) {
  std::string name = module_name(entry.path);
  if (!name.empty()) modules_.insert_or_assign(std::move(name), std::move(entry));
}

std::vector<std::string> ModuleGraph::names() const {
  std::vector<std::string> all;
  for (const auto& [name, entry] : modules_) all.push_back(name);
  return all;
}

ModuleEntry* ModuleGraph::find(const std::string& name) {
  const auto found = modules_.find(name);
  return found == modules_.end() ? nullptr : &found->second;
}

std::string ModuleGraph::dep_file() const {
  std::string text;
  for (const auto& [name, entry] : modules_) {
    text += entry.path + ":";
    for (const std::string& needed : entry.needs) {
      const auto found = modules_.find(needed);
      if (found != modules_.end()) text += " " + found->second.path;
    }
    text += "\n";
  }
  return text;
}

std::expected<std::vector<std::string>, std::string> ModuleGraph::load_order(
    std::span<const std::string> wanted) const {
  std::vector<std::string> order;
  std::set<std::string> seen;
  std::string missing;
  const std::function<void(const std::string&)> visit = [&](const std::string& name) {
    if (is_builtin(name) || !seen.insert(name).second) return;
    const auto found = modules_.find(name);
    if (found == modules_.end()) {
      if (missing.empty()) missing = name;
      return;
    }
    for (const std::string& needed : found->second.needs) visit(needed);
    order.push_back(found->second.path);
  };
  for (const std::string& name : wanted) visit(name);
  if (!missing.empty()) return std::unexpected(missing);
  return order;
}

std::vector<std::string> needs_of_module(ByteView file) {
  static constexpr std::string_view kKey{"\0depends=", 9};
  std::vector<std::string> needs;
  std::string_view rest(reinterpret_cast<const char*>(file.data()), file.size());
  const std::size_t found = rest.find(kKey);
  if (found == std::string_view::npos) return needs;
  rest.remove_prefix(found + kKey.size());
  for_each_piece(rest.substr(0, rest.find('\0')), ',', [&needs](std::string_view name) {
    std::ranges::replace(needs.emplace_back(name), '-', '_');
  });
  return needs;
}

}  // namespace sluice::box
