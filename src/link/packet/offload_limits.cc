#include "link/packet/offload_limits.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"

namespace sluice::link {
namespace {

constexpr std::array<std::string_view, 4> kSegmentsTcp = {
    "tx-tcp-segmentation", "tx-tcp-ecn-segmentation", "tx-tcp-mangleid-segmentation",
    "tx-tcp6-segmentation"};
constexpr std::string_view kSegmentsUdp = "tx-udp-segmentation";
// Its checksum is not the Internet's, which the header cannot say.
constexpr std::string_view kSumsSctp = "tx-checksum-sctp";

bool is_left_to_us(std::string_view feature, bool udp_batches) {
  if (feature == kSumsSctp) return false;
  if (!feature.starts_with("tx-") || !feature.ends_with("-segmentation")) return true;
  if (feature == kSegmentsUdp) return udp_batches;
  return std::ranges::find(kSegmentsTcp, feature) != kSegmentsTcp.end();
}

class Ethtool {
 public:
  explicit Ethtool(const std::string& name) : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    std::memcpy(request_.ifr_name, name.data(), std::min(name.size(), std::size_t{IFNAMSIZ - 1}));
  }
  // `command` begins with the number of one of its commands, and gets the answer.
  bool run(void* command) {
    request_.ifr_data = static_cast<char*>(command);
    return ::ioctl(fd_.get(), SIOCETHTOOL, &request_) >= 0;
  }

 private:
  UniqueFd fd_;
  ifreq request_{};
};

// Structures that end in an array of any length.
template <typename Head>
struct WithTail {
  explicit WithTail(std::size_t tail)
      : words((sizeof(Head) + tail + sizeof(std::uint64_t) - 1) / sizeof(std::uint64_t)) {}
  Head* operator->() { return reinterpret_cast<Head*>(words.data()); }

  std::vector<std::uint64_t> words;
};

// Their names, in the kernel's order.
std::vector<std::string> features_of(Ethtool& ethtool) {
  WithTail<ethtool_sset_info> count(sizeof(std::uint32_t));
  count->cmd = ETHTOOL_GSSET_INFO;
  count->sset_mask = 1ULL << ETH_SS_FEATURES;
  if (!ethtool.run(count.words.data()) || count->sset_mask == 0) return {};
  const std::size_t features = count->data[0];
  WithTail<ethtool_gstrings> names(features * ETH_GSTRING_LEN);
  names->cmd = ETHTOOL_GSTRINGS;
  names->string_set = ETH_SS_FEATURES;
  names->len = static_cast<std::uint32_t>(features);
  if (!ethtool.run(names.words.data())) return {};
  std::vector<std::string> result;
  for (std::size_t i = 0; i < features; ++i) {
    const auto* name = reinterpret_cast<const char*>(names->data) + i * ETH_GSTRING_LEN;
    result.emplace_back(name, ::strnlen(name, ETH_GSTRING_LEN));
  }
  return result;
}

}  // namespace

std::expected<void, sys::SetupError> limit_offloads(const std::string& name, bool udp_batches) {
  Ethtool ethtool(name);
  const std::vector<std::string> features = features_of(ethtool);
  const std::size_t blocks = (features.size() + 31) / 32;
  WithTail<ethtool_sfeatures> change(blocks * sizeof(ethtool_set_features_block));
  change->cmd = ETHTOOL_SFEATURES;
  change->size = static_cast<std::uint32_t>(blocks);
  for (std::size_t i = 0; i < features.size(); ++i) {
    if (is_left_to_us(features[i], udp_batches)) continue;
    change->features[i / 32].valid |= 1U << (i % 32);
  }
  // What an interface never has cannot be changed, and what is not asked for is off.
  if (!features.empty() && ethtool.run(change.words.data())) return {};
  return std::unexpected(sys::SetupError{"limit the offloads of interface " + name, errno, ""});
}

}  // namespace sluice::link
