#include "box/image/module_choice.h"

#include <fmt/core.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "box/image/file_bytes.h"
#include "box/image/module_graph.h"

namespace sluice::box {
namespace {

namespace fs = std::filesystem;

constexpr std::array kRequired = {"virtio_mmio", "virtio_console", "virtio_net", "virtiofs",
                                  "overlay"};
// Without these a guest has less entropy, IPv4 only, no tcpdump.
constexpr std::array kOptional = {"virtio_rng", "ipv6", "af_packet"};

constexpr const char* kOtherKernel =
    "name another kernel by --kernel FILE, or have one fetched: sluice box --fetch-kernel";

std::unexpected<sys::SetupError> failed(std::string step, int error, std::string hint) {
  return std::unexpected(sys::SetupError{std::move(step), error, std::move(hint)});
}

// Where depmod did not run, as in a package that was only unpacked.
std::expected<void, sys::SetupError> add_files(ModuleGraph& graph, const std::string& folder) {
  std::error_code error;
  fs::recursive_directory_iterator walk(folder, error);
  for (; !error && walk != fs::recursive_directory_iterator(); walk.increment(error)) {
    graph.add({fs::path(*walk).lexically_relative(folder).string()});
  }
  if (error) return failed("read " + folder + ": " + error.message(), 0, kOtherKernel);
  return {};
}

// Asks the files themselves, those that `wanted` leads to.
std::expected<void, sys::SetupError> add_needs(ModuleGraph& graph, const std::string& folder,
                                               std::vector<std::string> wanted) {
  std::set<std::string> asked;
  while (!wanted.empty()) {
    const std::string name = std::move(wanted.back());
    wanted.pop_back();
    ModuleEntry* entry = graph.find(name);
    if (graph.is_builtin(name) || entry == nullptr || !asked.insert(name).second) continue;
    const std::string path = folder + "/" + entry->path;
    if (!path.ends_with(".ko")) {
      return failed(folder + " has compressed modules and no modules.dep", 0,
                    fmt::format("as root run: depmod {}", fs::path(folder).filename().string()));
    }
    const auto content = read_file(path);
    if (!content) return failed("read " + path, content.error(), kOtherKernel);
    entry->needs = needs_of_module(*content);
    wanted.insert(wanted.end(), entry->needs.begin(), entry->needs.end());
  }
  return {};
}

}  // namespace

std::expected<std::vector<std::string>, sys::SetupError> choose_modules(const std::string& folder) {
  if (folder.empty()) return std::vector<std::string>();
  ModuleGraph graph;
  if (const auto builtin = read_text(folder + "/modules.builtin")) {
    graph.add_builtin_file(*builtin);
  }
  const auto dep = read_text(folder + "/modules.dep");
  if (dep) {
    graph.add_dep_file(*dep);
  } else if (auto done = add_files(graph, folder); !done) {
    return std::unexpected(done.error());
  }
  std::vector<std::string> wanted(kRequired.begin(), kRequired.end());
  for (const char* name : kOptional) {
    if (graph.knows(name)) wanted.emplace_back(name);
  }
  if (!dep) {
    if (auto done = add_needs(graph, folder, wanted); !done) return std::unexpected(done.error());
  }
  auto order = graph.load_order(wanted);
  if (!order) {
    return failed(fmt::format("{} has no module {}", folder, order.error()), 0, kOtherKernel);
  }
  for (std::string& path : *order) path = folder + "/" + path;
  return *std::move(order);
}

std::expected<void, sys::SetupError> index_modules(const std::string& folder) {
  ModuleGraph graph;
  if (auto done = add_files(graph, folder); !done) return done;
  if (auto done = add_needs(graph, folder, graph.names()); !done) return done;
  const std::string path = folder + "/modules.dep";
  std::ofstream file(path, std::ios::binary);
  file << graph.dep_file();
  file.close();
  if (file) return {};
  return failed("write " + path, 0, "");
}

}  // namespace sluice::box
