#include "serve/slirp_api/slirp_api_server.h"

#include <sys/socket.h>

#include <utility>

#include "serve/slirp_api/slirp_request.h"
#include "sys/unix_socket.h"

namespace sluice::serve {
namespace {

constexpr mode_t kMode = 0600;

}  // namespace

std::expected<std::unique_ptr<SlirpApiServer>, sys::SysError> SlirpApiServer::open(
    sys::Kernel& kernel, const std::string& path) {
  auto socket = sys::bind_unix(kernel, SOCK_STREAM, path, kMode);
  if (!socket) return std::unexpected(socket.error());
  auto server = AnswerServer::listen(std::move(*socket), kSlirpRequestMax);
  if (!server) return std::unexpected(server.error());
  return std::unique_ptr<SlirpApiServer>(new SlirpApiServer(std::move(*server)));
}

// Half a request is a wrong one, once it has ended.
std::optional<std::string> SlirpApiServer::answer(const Said& said, Instant /*now*/) {
  const auto request =
      read_slirp_request(said.bytes, said.ended ? SlirpInput::kEnded : SlirpInput::kOpen);
  if (!request) return std::nullopt;
  return forwards_->answer(*request);
}

}  // namespace sluice::serve
