// libmicrohttpd, loaded when the page is served: what it needs itself takes longer to load than all
// that `sluice run` needs.
#pragma once

#include <microhttpd.h>

#include <optional>

namespace sluice::web {

// Its functions, by their names without "MHD_".
struct Microhttpd {
  decltype(&MHD_start_daemon) start_daemon;
  decltype(&MHD_stop_daemon) stop_daemon;
  decltype(&MHD_get_daemon_info) get_daemon_info;
  decltype(&MHD_get_timeout) get_timeout;
  decltype(&MHD_run) run;
  decltype(&MHD_lookup_connection_value) lookup_connection_value;
  decltype(&MHD_suspend_connection) suspend_connection;
  decltype(&MHD_resume_connection) resume_connection;
  decltype(&MHD_create_response_from_buffer) create_response_from_buffer;
  decltype(&MHD_create_response_from_callback) create_response_from_callback;
  decltype(&MHD_add_response_header) add_response_header;
  decltype(&MHD_queue_response) queue_response;
  decltype(&MHD_destroy_response) destroy_response;

  // Nothing where it is not installed. It stays for the life of the process.
  [[nodiscard]] static std::optional<Microhttpd> load();
};

}  // namespace sluice::web
