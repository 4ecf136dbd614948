#include "service/systemd_library.h"

#include <dlfcn.h>

#include <cerrno>
#include <cstdlib>

#include "telemetry/log.h"

namespace sluice::service {
namespace {

using Notify = int (*)(int unset_environment, const char* state);
using ListenFds = int (*)(int unset_environment, char*** names);

// Stays loaded: what it gives is used until the end.
void* symbol(const char* name) {
  static void* const library = [] {
    void* const opened = ::dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
    if (opened == nullptr) {
      telemetry::log_warn("systemd started us, but its library is missing: install libsystemd0");
    }
    return opened;
  }();
  return library == nullptr ? nullptr : ::dlsym(library, name);
}

}  // namespace

void systemd_notify(const char* state) {
  if (std::getenv("NOTIFY_SOCKET") == nullptr) return;
  static const auto notify = reinterpret_cast<Notify>(symbol("sd_notify"));
  // The variable stays for a process that we hand over to. A manager that cannot be told goes
  // without; there is nobody else to tell.
  if (notify != nullptr) (void)notify(0, state);
}

int systemd_listen_fds(char*** names) {
  if (std::getenv("LISTEN_FDS") == nullptr) return 0;
  static const auto listen_fds = reinterpret_cast<ListenFds>(symbol("sd_listen_fds_with_names"));
  return listen_fds == nullptr ? -ELIBACC : listen_fds(1, names);
}

}  // namespace sluice::service
