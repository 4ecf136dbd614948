// What a client of slirp4netns' API socket may send: any bytes, in any pieces. Whatever they are,
// each piece more changes nothing of an answer that was given, the end brings one in any case, and
// it is JSON.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "serve/slirp_api/host_forwards.h"
#include "serve/slirp_api/slirp_request.h"

namespace {

using namespace sluice;

void check(bool holds) {
  if (!holds) std::abort();
}

class Ports final : public serve::PortSet {
 public:
  std::expected<policy::PortMap, Refusal> publish(const policy::PortMap& map) override {
    check(map.host_first.value != 0 && map.guest_first.value != 0 && map.count == 1);
    if (has(map)) return std::unexpected(Refusal{"port-taken", "it is published already"});
    all_.push_back(map);
    return map;
  }
  bool unpublish(const policy::PortMap& map) override { return std::erase(all_, map) == 1; }
  [[nodiscard]] bool has(const policy::PortMap& map) const override {
    return std::ranges::find(all_, map) != all_.end();
  }
  [[nodiscard]] bool waits_at(policy::Protocol, const wire::Endpoint&) const override {
    return false;
  }

 private:
  std::vector<policy::PortMap> all_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Ports ports;
  const flow::GuestNetwork network;
  serve::HostForwards forwards(ports, network);
  std::string_view text(reinterpret_cast<const char*>(data), size);
  // Requests are lines here, so that one changes what the next finds.
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const auto ended = serve::read_slirp_request(line, serve::SlirpInput::kEnded);
    check(ended.has_value());
    const auto open = serve::read_slirp_request(line, serve::SlirpInput::kOpen);
    if (open) {
      check(open->has_value() == ended->has_value());
    } else {
      check(!ended->has_value() && ended->error() == serve::SlirpRefusal::kNoJson);
    }
    check(nlohmann::json::accept(forwards.answer(*ended)));
  }
  return 0;
}
