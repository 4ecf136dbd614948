#include "app/guest/published_options.h"

#include <string>
#include <string_view>
#include <utility>

#include "app/guest/port_list.h"

namespace sluice::app {
namespace {

using Checked = std::expected<void, Mistake>;

class Reader {
 public:
  Reader(const RawOptions& raw, GuestOptions& options)
      : raw_(raw), options_(options), tells_(raw.has(OptionId::kIgnoreBindErrors)) {}

  Checked read_publish() {
    for (const std::string& text : raw_.all(OptionId::kPublish)) {
      const auto map = policy::parse_port_map(text);
      if (!map) {
        return fail("--publish: '{}' is not a port to publish; expected {}", text,
                    map.error().expected);
      }
      if (auto added = add("--publish", *map); !added) return added;
    }
    return {};
  }

  Checked read_lists(std::string_view option, OptionId id, policy::Protocol protocol) {
    std::vector<policy::PortMap> listed;
    for (const std::string& text : raw_.all(id)) {
      auto list = parse_port_list(option, text, protocol, EphemeralPorts::of_host());
      if (!list) return std::unexpected(std::move(list.error()));
      if (text == "none") {
        listed.clear();
        std::erase_if(options_.follow, [&](const serve::FollowedPorts& one) {
          return one.like.protocol == protocol;
        });
      }
      listed.insert(listed.end(), list->maps.begin(), list->maps.end());
      if (!list->follow) continue;
      if (auto checked = check_family(option, text, list->follow->like); !checked) return checked;
      options_.follow.push_back(std::move(*list->follow));
    }
    for (policy::PortMap& map : listed) {
      if (auto added = add(option, std::move(map)); !added) return added;
    }
    return {};
  }

 private:
  // `text`: how the map is spoken of.
  Checked check_family(std::string_view option, std::string_view text,
                       const policy::PortMap& map) const {
    if (!map.address) return {};
    const bool is_v4 = map.address->is_v4();
    if (is_v4 ? options_.network.ipv4 : options_.network.ipv6) return {};
    return fail("{}: '{}' is {}, which {} switches off", option, text, is_v4 ? "IPv4" : "IPv6",
                is_v4 ? "-6" : "-4");
  }

  Checked add(std::string_view option, policy::PortMap map) {
    if (auto checked = check_family(option, policy::to_string(map), map); !checked) {
      return checked;
    }
    for (const policy::PortMap& other : options_.publish) {
      const bool if_free = map.if_taken == policy::IfTaken::kLeaveOut;
      if (if_free || !collide(map, other)) continue;
      return fail("{}: '{}' needs a port of the host that '{}' has", option, policy::to_string(map),
                  policy::to_string(other));
    }
    if (tells_ && map.if_taken == policy::IfTaken::kFail) map.if_taken = policy::IfTaken::kTell;
    options_.publish.push_back(std::move(map));
    return {};
  }

  const RawOptions& raw_;
  GuestOptions& options_;
  bool tells_;
};

}  // namespace

Checked read_published(const RawOptions& raw, GuestOptions& options) {
  Reader reader(raw, options);
  if (auto read = reader.read_publish(); !read) return read;
  if (auto read = reader.read_lists("--tcp-ports", OptionId::kTcpPorts, policy::Protocol::kTcp);
      !read) {
    return read;
  }
  return reader.read_lists("--udp-ports", OptionId::kUdpPorts, policy::Protocol::kUdp);
}

Checked check_nothing_follows(const GuestOptions& options) {
  if (options.follow.empty()) return {};
  const bool tcp = options.follow.front().like.protocol == policy::Protocol::kTcp;
  return fail("{}: 'auto' follows what waits in a namespace; here expected the ports themselves",
              tcp ? "--tcp-ports" : "--udp-ports");
}

}  // namespace sluice::app
