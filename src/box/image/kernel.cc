#include "box/image/kernel.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <string.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "box/image/file_bytes.h"
#include "box/image/kernel_version.h"
#include "box/image/module_choice.h"

namespace sluice::box {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFetch =
    "have one fetched: sluice box --fetch-kernel; or name one by --kernel FILE";

std::unexpected<sys::SetupError> failed(std::string step, int error, std::string hint) {
  return std::unexpected(sys::SetupError{std::move(step), error, std::move(hint)});
}

bool is_folder(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

std::string modules_of(const std::string& path, const std::string& version,
                       const KernelPlaces& places) {
  const std::string beside = fs::path(path).parent_path() / "modules";
  if (is_folder(beside + "/kernel")) return beside;
  for (const std::string& folder : places.modules) {
    if (std::string found = folder + "/" + version; is_folder(found)) return found;
  }
  return "";
}

std::expected<Kernel, sys::SetupError> read_kernel(const std::string& path,
                                                   const KernelPlaces& places) {
  auto bytes = read_file(path);
  if (!bytes) {
    const bool denied = bytes.error() == EACCES;
    return failed("read the kernel " + path, bytes.error(),
                  denied ? "as root run: chmod a+r " + path : "");
  }
  std::string version = version_of_kernel(*bytes);
  if (version.empty()) {
    return failed(path + " is no Linux kernel for x86-64", 0,
                  "a bzImage (vmlinuz) or an ELF file (vmlinux) is");
  }
  std::string modules = modules_of(path, version, places);
  auto chosen = choose_modules(modules);
  if (!chosen) return std::unexpected(chosen.error());
  return Kernel{path, *std::move(bytes), std::move(version), std::move(modules),
                *std::move(chosen)};
}

struct Candidate {
  std::string path;
  std::string version;  // As its name says.
  int rank = 0;         // A lower one is preferred.
};

int rank_of(const std::string& version) {
  for (const char* word : {"cloud", "virtual", "kvm"}) {
    if (version.find(word) != std::string::npos) return 1;
  }
  return 2;
}

// Every entry of a folder that is there; none of one that is not.
template <typename Each>
void for_each_name(const std::string& folder, Each&& each) {
  std::error_code error;
  fs::directory_iterator walk(folder, error);
  for (; !error && walk != fs::directory_iterator(); walk.increment(error)) {
    each(walk->path().filename().string());
  }
}

std::vector<Candidate> candidates(const KernelPlaces& places) {
  std::vector<Candidate> all;
  const auto add = [&all](std::string path, const std::string& version, int rank) {
    std::error_code error;
    if (fs::exists(path, error)) all.push_back({std::move(path), version, rank});
  };
  if (!places.fetched.empty()) {
    for_each_name(places.fetched, [&](const std::string& version) {
      if (!version.starts_with('.')) add(places.fetched + "/" + version + "/vmlinuz", version, 0);
    });
  }
  for_each_name(places.boot, [&](const std::string& name) {
    static constexpr std::string_view kPrefix = "vmlinuz-";
    if (!name.starts_with(kPrefix)) return;
    const std::string version = name.substr(kPrefix.size());
    add(places.boot + "/" + name, version, rank_of(version));
  });
  for (const std::string& folder : places.modules) {
    for_each_name(folder, [&](const std::string& version) {
      add(folder + "/" + version + "/vmlinuz", version, rank_of(version));
    });
  }
  std::ranges::sort(all, [](const Candidate& a, const Candidate& b) {
    if (a.rank != b.rank) return a.rank < b.rank;
    const int order = ::strverscmp(a.version.c_str(), b.version.c_str());
    return order != 0 ? order > 0 : a.path < b.path;
  });
  return all;
}

}  // namespace

KernelPlaces usual_kernel_places() {
  KernelPlaces places;
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  // basedir-spec: a path there that is not absolute is to be ignored.
  if (cache != nullptr && *cache == '/') {
    places.fetched = std::string(cache) + "/sluice/kernel";
  } else if (home != nullptr && *home == '/') {
    places.fetched = std::string(home) + "/.cache/sluice/kernel";
  }
  return places;
}

std::expected<Kernel, sys::SetupError> find_kernel(const std::string& named,
                                                   const KernelPlaces& places) {
  if (!named.empty()) return read_kernel(named, places);
  std::vector<std::string> refused;
  for (const Candidate& candidate : candidates(places)) {
    auto kernel = read_kernel(candidate.path, places);
    if (!kernel) {
      const bool denied = kernel.error().error == EACCES;  // Then its mend is the better one.
      refused.push_back(denied ? kernel.error().describe() : kernel.error().step);
    } else if (kernel->modules.empty()) {
      refused.push_back(
          fmt::format("{} has no modules (/lib/modules/{})", candidate.path, kernel->version));
    } else {
      return kernel;
    }
  }
  if (refused.empty()) {
    return failed(fmt::format("no kernel for the guest in {}", places.boot), 0, kFetch);
  }
  return failed(fmt::format("no kernel that a guest can boot: {}", fmt::join(refused, "; ")), 0,
                kFetch);
}

}  // namespace sluice::box
