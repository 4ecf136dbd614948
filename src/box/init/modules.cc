#include "box/init/modules.h"

#include <fcntl.h>
#include <linux/module.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/unique_fd.h"

namespace sluice::box {
namespace {

Step load(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return step_failed("open module " + path);
  const bool compressed = !path.ends_with(".ko");
  const int flags = compressed ? MODULE_INIT_COMPRESSED_FILE : 0;
  if (::syscall(SYS_finit_module, file.get(), "", flags) == 0 || errno == EEXIST) return {};
  // A driver without its device is no failure: what is missing is told where it is missed.
  if (errno == ENODEV) return {};
  const bool cannot_unpack = compressed && (errno == EINVAL || errno == EOPNOTSUPP);
  return step_failed("load module " + path,
                     cannot_unpack ? "this kernel cannot unpack its modules "
                                     "(CONFIG_MODULE_DECOMPRESS): unpack them on the host by xz -d "
                                     "or zstd -d and run depmod, or name another kernel"
                                   : "name another kernel by --kernel FILE");
}

}  // namespace

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

Step load_modules(const std::string& folder) {
  for (const std::string& name : lines_of(read_line(folder + "/order"))) {
    const std::string path = folder + "/" + name;
    if (auto done = load(path); !done) return done;
    ::unlink(path.c_str());  // It takes memory.
  }
  return {};
}

}  // namespace sluice::box
