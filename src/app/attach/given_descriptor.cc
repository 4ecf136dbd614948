#include "app/attach/given_descriptor.h"

#include <fcntl.h>

namespace sluice::app {

std::expected<UniqueFd, Mistake> take_given(std::string_view option, std::optional<int> number) {
  if (!number) return UniqueFd();
  if (::fcntl(*number, F_SETFD, FD_CLOEXEC) == 0) return UniqueFd(*number);
  return fail("{}: descriptor {} is not open; whoever starts us must leave it open", option,
              *number);
}

}  // namespace sluice::app
