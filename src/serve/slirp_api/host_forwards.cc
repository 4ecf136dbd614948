#include "serve/slirp_api/host_forwards.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <variant>

#include "telemetry/log.h"

namespace sluice::serve {
namespace {

[[nodiscard]] std::string refused(SlirpRefusal why) {
  return fmt::format(R"({{"error":{{"desc":"bad request: {}"}}}})", to_string(why));
}

[[nodiscard]] policy::PortMap map_of(const AddHostForward& add) {
  policy::PortMap map{.protocol = add.protocol,
                      .address = add.host,
                      .host_first = add.host_port,
                      .guest_first = add.guest_port};
  if (add.guest && !add.guest->is_unspecified()) map.guest_address = add.guest;
  return map;
}

}  // namespace

std::string HostForwards::answer(const std::expected<SlirpRequest, SlirpRefusal>& request) {
  if (!request) return refused(request.error());
  return std::visit([this](const auto& asked) { return carry_out(asked); }, *request);
}

std::string HostForwards::carry_out(const AddHostForward& add) {
  forget_lost();
  policy::PortMap map = map_of(add);
  // slirp4netns takes it, and nobody ever answers there.
  if (map.guest_address && !network_.on_subnet(*map.guest_address)) {
    telemetry::log_warn("add_hostfwd: guest_addr {} is outside of the guest's network",
                        wire::to_string(*map.guest_address));
    return refused(SlirpRefusal::kBadGuestAddress);
  }
  if (const auto done = ports_.publish(map); !done) {
    telemetry::log_warn("add_hostfwd: {}", done.error().message);
    return refused(SlirpRefusal::kAddFailed);
  }
  forwards_.push_back({++last_id_, add, std::move(map)});
  return fmt::format(R"({{"return":{{"id":{}}}}})", last_id_);
}

std::string HostForwards::carry_out(const ListHostForwards& /*list*/) {
  forget_lost();
  std::string text = R"({"entries":[)";
  for (const Forward& forward : forwards_) {
    if (!text.ends_with('[')) text += ',';
    const AddHostForward& asked = forward.asked;
    fmt::format_to(std::back_inserter(text),
                   R"({{"id":{},"proto":"{}","host_addr":"{}","host_port":{},)"
                   R"("guest_addr":"{}","guest_port":{}}})",
                   forward.id, asked.protocol == policy::Protocol::kTcp ? "tcp" : "udp",
                   wire::to_string(asked.host), asked.host_port.value,
                   wire::to_string(asked.guest.value_or(network_.guest_v4)),
                   asked.guest_port.value);
  }
  return text + "]}";
}

std::string HostForwards::carry_out(const RemoveHostForward& remove) {
  forget_lost();
  const auto found = std::ranges::find(forwards_, remove.id, &Forward::id);
  if (found == forwards_.end() || !ports_.unpublish(found->map)) {
    return refused(SlirpRefusal::kBadId);
  }
  forwards_.erase(found);
  return R"({"return":{}})";
}

void HostForwards::forget_lost() {
  std::erase_if(forwards_, [this](const Forward& one) { return !ports_.has(one.map); });
}

}  // namespace sluice::serve
