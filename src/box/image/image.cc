#include "box/image/image.h"

#include <fmt/core.h>

#include "box/image/cpio_archive.h"
#include "box/image/file_bytes.h"

namespace sluice::box {

std::expected<std::vector<std::uint8_t>, sys::SetupError> make_image(const Kernel& kernel) {
  CpioArchive archive;
  // What the kernel opens as /init's standard streams, before there is a devtmpfs.
  archive.character_device("dev/console", 5, 1);
  archive.file("init", init_program(), 0755);
  std::string order;
  for (std::size_t i = 0; i < kernel.chosen_modules.size(); ++i) {
    const std::string& path = kernel.chosen_modules[i];
    const auto content = read_file(path);
    if (!content) {
      return std::unexpected(sys::SetupError{"read " + path, content.error(), ""});
    }
    const std::string name = fmt::format("{:02}-{}", i, path.substr(path.rfind('/') + 1));
    archive.file("modules/" + name, *content, 0644);
    order += name + "\n";
  }
  archive.file("modules/order",
               ByteView(reinterpret_cast<const std::uint8_t*>(order.data()), order.size()), 0644);
  return std::move(archive).finish();
}

}  // namespace sluice::box
