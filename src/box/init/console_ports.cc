#include "box/init/console_ports.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string>

#include "box/guest/control_message.h"

namespace sluice::box {
namespace {

constexpr const char* kClass = "/sys/class/virtio-ports";
// Ports are told by messages behind the driver's start, each within milliseconds, but for a host
// that is short of time.
constexpr std::uint64_t kWaitNanoseconds = 20'000'000'000;
constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 1'000'000};

std::string device_of(std::string_view name) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(kClass), &::closedir);
  if (!folder) return "";
  while (const dirent* entry = ::readdir(folder.get())) {
    if (entry->d_name[0] == '.') continue;
    if (read_line(std::string(kClass) + "/" + entry->d_name + "/name") == name) {
      return std::string("/dev/") + entry->d_name;
    }
  }
  return "";
}

bool host_has_opened(const UniqueFd& port) {
  pollfd item{.fd = port.get(), .events = POLLIN, .revents = 0};
  return ::poll(&item, 1, 0) >= 0 && (item.revents & POLLHUP) == 0;
}

std::expected<UniqueFd, sys::SetupError> open_port(const char* name, std::uint64_t until) {
  UniqueFd port;
  while (!port.valid() || !host_has_opened(port)) {
    if (!port.valid()) {
      const std::string device = device_of(name);
      if (!device.empty()) port.reset(::open(device.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
    }
    if (nanoseconds_since_boot() > until) {
      return std::unexpected(sys::SetupError{
          std::string("no console port ") + name + (port.valid() ? " is open" : ""), 0,
          "the kernel needs virtio_mmio and virtio_console, built in or as modules"});
    }
    ::nanosleep(&kPause, nullptr);
  }
  return port;
}

}  // namespace

std::expected<ConsolePorts, sys::SetupError> open_console_ports() {
  const std::uint64_t until = nanoseconds_since_boot() + kWaitNanoseconds;
  ConsolePorts ports;
  struct Wanted {
    const char* name;
    UniqueFd* place;
  };
  for (const Wanted& each :
       {Wanted{kControlPortName, &ports.control}, Wanted{kStreamPortName, &ports.stream},
        Wanted{kErrorPortName, &ports.error}}) {
    auto port = open_port(each.name, until);
    if (!port) return std::unexpected(port.error());
    *each.place = *std::move(port);
  }
  return ports;
}

}  // namespace sluice::box
