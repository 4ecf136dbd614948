#include "box/image/kernel_fetch.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>

#include "base/unique_fd.h"
#include "box/image/module_choice.h"
#include "box/image/tool_run.h"

namespace sluice::box {
namespace {

namespace fs = std::filesystem;

// Stands for the newest: its package has nothing but a dependence.
constexpr const char* kStandsFor = "linux-image-cloud-amd64";
constexpr std::string_view kPackagePrefix = "linux-image-";
// What is being made. find_kernel() passes names with a dot over.
constexpr const char* kFresh = "/.fresh";

std::unexpected<sys::SetupError> failed(std::string step, int error, std::string hint = "") {
  return std::unexpected(sys::SetupError{std::move(step), error, std::move(hint)});
}

std::unexpected<sys::SetupError> failed(const std::string& step, const std::error_code& error,
                                        std::string hint = "") {
  return failed(step + ": " + error.message(), 0, std::move(hint));
}

// The rest of the line that begins so.
std::string_view field_of(std::string_view said, std::string_view name) {
  while (!said.empty()) {
    const std::size_t end = std::min(said.find('\n'), said.size());
    const std::string_view line = said.substr(0, end);
    if (line.starts_with(name)) return line.substr(name.size());
    said.remove_prefix(std::min(end + 1, said.size()));
  }
  return {};
}

// The folder while a fetch works in it, others waiting; empty again when it begins and ends.
class Workshop {
 public:
  static std::expected<Workshop, sys::SetupError> open(const std::string& folder) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) return failed("make " + folder, error, "set XDG_CACHE_HOME to a folder of yours");
    UniqueFd lock(::open((folder + "/.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!lock.valid() || ::flock(lock.get(), LOCK_EX) != 0) return failed("lock " + folder, errno);
    Workshop workshop(folder + kFresh, std::move(lock));
    fs::remove_all(workshop.path_, error);  // Of a fetch that was killed.
    if (!fs::create_directory(workshop.path_, error)) {
      return failed("make " + workshop.path_, error);
    }
    return workshop;
  }
  Workshop(Workshop&&) = default;
  Workshop& operator=(Workshop&&) = delete;
  ~Workshop() {
    std::error_code error;
    if (lock_.valid()) fs::remove_all(path_, error);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  Workshop(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  UniqueFd lock_;  // Invalid once moved from.
};

// The first entry of a folder whose name begins so.
std::optional<std::string> entry_of(const std::string& folder, std::string_view prefix) {
  std::error_code error;
  fs::directory_iterator walk(folder, error);
  for (; !error && walk != fs::directory_iterator(); walk.increment(error)) {
    const std::string name = walk->path().filename().string();
    if (name.starts_with(prefix)) return name;
  }
  return std::nullopt;
}

// Puts a kernel and its modules from where its package was unpacked into `made`.
std::expected<void, sys::SetupError> take_out(const std::string& unpacked,
                                              const std::string& made) {
  const auto kernel = entry_of(unpacked + "/boot", "vmlinuz-");
  std::string modules = unpacked + "/lib/modules";
  if (!fs::exists(modules)) modules = unpacked + "/usr/lib/modules";
  const auto version = entry_of(modules, "");
  if (!kernel || !version) return failed("the package has no kernel or no modules", 0);
  std::error_code error;
  fs::create_directory(made, error);
  if (!error) fs::rename(unpacked + "/boot/" + *kernel, made + "/vmlinuz", error);
  if (!error) fs::rename(modules + "/" + *version, made + "/modules", error);
  if (error) return failed("move the kernel out of its package", error);
  return {};
}

// What the installation would do. Compressed modules depmod(8) alone can read, which looks for them
// below /lib.
void index_all_modules(const std::string& unpacked) {
  std::error_code error;
  if (!fs::exists(unpacked + "/lib")) fs::create_symlink("usr/lib", unpacked + "/lib", error);
  const auto version = entry_of(unpacked + "/lib/modules", "");
  if (!version || index_modules(unpacked + "/lib/modules/" + *version)) return;
  (void)run_tool({.words = {"/sbin/depmod", "-b", unpacked, *version}});
}

std::expected<void, sys::SetupError> download(const std::string& package, const std::string& folder,
                                              const FetchProgress& tell) {
  // By apt's own user, who may not look into any folder: as ours.
  const auto said =
      run_tool({.words = {"apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package},
                .directory = folder,
                .on_line = tell});
  if (said) return {};
  return failed(said.error().describe(), 0, "as root run: apt-get update; then again");
}

std::expected<std::string, sys::SetupError> newest_package() {
  const auto said = run_tool({.words = {"apt-cache", "show", "--no-all-versions", kStandsFor}});
  constexpr const char* kMend =
      "on Debian, as root run: apt-get update; elsewhere name a kernel by --kernel FILE";
  if (!said) return failed(said.error().describe(), 0, kMend);
  std::string package = package_of_kernel(*said);
  if (package.empty()) return failed("apt-cache does not know the newest cloud kernel", 0, kMend);
  return package;
}

}  // namespace

std::string package_of_kernel(std::string_view said) {
  std::string_view depends = field_of(said, "Depends:");
  const std::string_view version = field_of(said, "Version: ");
  while (!depends.empty()) {
    const std::size_t end = std::min(depends.find(','), depends.size());
    std::string_view item = depends.substr(0, end);
    depends.remove_prefix(std::min(end + 1, depends.size()));
    item.remove_prefix(std::min(item.find_first_not_of(' '), item.size()));
    item = item.substr(0, item.find(' '));
    if (item.starts_with(kPackagePrefix) && !version.empty()) {
      return fmt::format("{}={}", item, version);
    }
  }
  return "";
}

std::expected<std::string, sys::SetupError> fetch_kernel(const std::string& folder,
                                                         const FetchProgress& tell) {
  if (folder.empty()) return failed("no folder for kernels", 0, "set XDG_CACHE_HOME or HOME");
  const auto package = newest_package();
  if (!package) return std::unexpected(package.error());
  const std::size_t equals = package->find('=');
  // Debian's packages are named by the kernel's version; a newer build of the same has its own.
  const std::string name = package->substr(kPackagePrefix.size(), equals - kPackagePrefix.size()) +
                           "_" + package->substr(equals + 1);
  const std::string final_path = folder + "/" + name;
  const auto workshop = Workshop::open(folder);
  if (!workshop) return std::unexpected(workshop.error());
  if (fs::exists(final_path + "/vmlinuz")) {
    tell(final_path + " is the newest");
    return final_path + "/vmlinuz";
  }
  tell("fetching " + *package);
  if (auto done = download(*package, workshop->path(), tell); !done) {
    return std::unexpected(done.error());
  }
  const auto archive = entry_of(workshop->path(), kPackagePrefix);
  if (!archive) return failed("apt-get left no package", 0);
  tell("unpacking " + *archive);
  const std::string unpacked = workshop->path() + "/unpacked";
  const auto said =
      run_tool({.words = {"dpkg-deb", "-x", *archive, unpacked}, .directory = workshop->path()});
  if (!said) return std::unexpected(said.error());
  index_all_modules(unpacked);
  const std::string made = workshop->path() + "/made";
  if (auto done = take_out(unpacked, made); !done) return std::unexpected(done.error());
  std::error_code error;
  fs::rename(made, final_path, error);
  if (error) return failed("put the kernel at " + final_path, error);
  return final_path + "/vmlinuz";
}

}  // namespace sluice::box
