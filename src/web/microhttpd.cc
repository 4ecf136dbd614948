#include "web/microhttpd.h"

#include <dlfcn.h>

namespace sluice::web {
namespace {

// False: the library has no such function.
template <typename Function>
[[nodiscard]] bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

}  // namespace

std::optional<Microhttpd> Microhttpd::load() {
  void* const library = ::dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return std::nullopt;
  Microhttpd mhd{};
  const bool whole =
      find(library, "MHD_start_daemon", mhd.start_daemon) &&
      find(library, "MHD_stop_daemon", mhd.stop_daemon) &&
      find(library, "MHD_get_daemon_info", mhd.get_daemon_info) &&
      find(library, "MHD_get_timeout", mhd.get_timeout) && find(library, "MHD_run", mhd.run) &&
      find(library, "MHD_lookup_connection_value", mhd.lookup_connection_value) &&
      find(library, "MHD_suspend_connection", mhd.suspend_connection) &&
      find(library, "MHD_resume_connection", mhd.resume_connection) &&
      find(library, "MHD_create_response_from_buffer", mhd.create_response_from_buffer) &&
      find(library, "MHD_create_response_from_callback", mhd.create_response_from_callback) &&
      find(library, "MHD_add_response_header", mhd.add_response_header) &&
      find(library, "MHD_queue_response", mhd.queue_response) &&
      find(library, "MHD_destroy_response", mhd.destroy_response);
  return whole ? std::optional(mhd) : std::nullopt;
}

}  // namespace sluice::web
