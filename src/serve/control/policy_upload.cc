#include "serve/control/policy_upload.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace sluice::serve {

std::expected<std::optional<policy::EgressDraft>, std::string> PolicyUpload::add(
    const control::Request& request) {
  if (request.part == 0) {
    reader_.emplace();
    upload_ = request.upload;
    next_ = 0;
  }
  if (!reader_ || request.upload != upload_ || request.part != next_ ||
      request.part >= request.parts) {
    return std::unexpected("this part does not follow on the one before; begin with part 0");
  }
  ++next_;
  for (std::string_view rest = request.what; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (auto read = reader_->read(line); !read) {
      reader_.reset();
      return std::unexpected(std::move(read.error()));
    }
  }
  if (next_ < request.parts) return std::nullopt;
  auto draft = reader_->finish();
  reader_.reset();
  if (!draft) return std::unexpected(std::move(draft.error()));
  return std::move(*draft);
}

}  // namespace sluice::serve
