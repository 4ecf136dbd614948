// Finds the rule that decides on a name, a protocol and a port, among patterns of names. A trie of
// labels, from the end of the name; its nodes are in one hash table, keyed by their suffix. So a
// search takes as many steps as labels of the name are in the trie, whatever the number of rules,
// and allocates nothing.
//
// Each node has up to three sites of rules (port_sites.h): on the name itself, on it by a pattern
// as .example.com, and on the names below it. Stars within labels are in a second table, keyed by
// node and letters; a node lists how many letters stand before and behind its stars.
//
// Read-only after construction, so threads may share it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "policy/effect.h"
#include "policy/egress/byte_table.h"
#include "policy/egress/egress_target.h"
#include "policy/egress/name_path.h"
#include "policy/egress/name_pattern.h"
#include "policy/port_sites.h"
#include "policy/protocol.h"
#include "wire/messages/domain_name.h"

namespace sluice::policy {

class NameIndex {
 public:
  struct Rule {
    const NamePattern* pattern = nullptr;  // Needed only while the index is made.
    PortScope scope;
    Ruled ruled{};
  };

  NameIndex() = default;
  explicit NameIndex(std::span<const Rule> rules);

  [[nodiscard]] bool empty() const { return rules_.empty(); }

  // What the most specific rule says. Nothing if none matches.
  [[nodiscard]] std::optional<Ruled> find(const wire::DomainName& name, Protocol protocol,
                                          wire::Port port) const;
  // Whether a rule speaks of the name, on whatever ports.
  [[nodiscard]] bool any(const wire::DomainName& name) const;

  // The most permissive of what find() says for all protocols and ports, and of `otherwise` where
  // it says nothing.
  [[nodiscard]] Ruled most_permissive(const wire::DomainName& name, Ruled otherwise) const;
  // The same for a name below this one that no rule names itself.
  [[nodiscard]] Ruled most_permissive_below(const wire::DomainName& name, Ruled otherwise) const;

  // Whether some pattern of a rule that does not deny is for names below this one.
  [[nodiscard]] bool above_allowed(const wire::DomainName& name) const;

 private:
  static constexpr std::uint32_t kNone = 0xffff'ffff;

  struct Node {
    std::uint32_t exact_site = kNone;
    std::uint32_t apex_site = kNone;
    std::uint32_t below_site = kNone;
    std::uint32_t shapes_begin = 0;  // Into shapes_.
    std::uint32_t shapes_end = 0;
    bool above_allowed = false;
  };
  // How many letters stand before a star and behind it.
  struct Shape {
    std::uint8_t before = 0;
    std::uint8_t behind = 0;
  };
  // The nodes of a name's suffixes that the trie has: those of suffix(first) to the root.
  struct Walk {
    std::array<std::uint32_t, NamePath::kLabelsMax + 1> nodes;
    std::size_t first = 0;
  };
  // Where a rule belongs, and how specific it is there.
  enum class Slot : std::uint8_t { kExact, kApex, kBelow, kGlob };
  struct Placement {
    Slot slot{};
    std::uint32_t owner = 0;  // The number of a node, or of a glob.
    std::uint32_t rule = 0;
  };
  struct GlobOfNode {
    std::uint32_t node = 0;
    Shape shape{};
  };

  std::uint32_t add_nodes(const NamePattern& pattern, bool allows);
  std::uint32_t add_glob(const NamePattern& pattern, std::uint32_t node,
                         std::vector<GlobOfNode>& globs);
  void add_sites(std::span<const Rule> rules, std::vector<Placement>& placements);
  [[nodiscard]] std::uint32_t& site_of(const Placement& placement);
  void add_shapes(std::vector<GlobOfNode>& globs);

  [[nodiscard]] Walk walk(const NamePath& path) const;
  [[nodiscard]] std::uint32_t glob_site(std::uint32_t node, ByteView label, Shape shape) const;
  // Calls `visit` with sites, the most specific first, until it returns true. Returns whether one
  // did.
  template <typename Visit>
  bool visit_globs(std::uint32_t node, ByteView label, const Visit& visit) const;
  template <typename Visit>
  bool visit_below(const Walk& walk, std::size_t from, std::size_t labels,
                   const Visit& visit) const;
  template <typename Visit>
  bool visit_all(const NamePath& path, const Walk& walk, const Visit& visit) const;
  template <typename Sites>
  [[nodiscard]] Ruled most_permissive_of(const Sites& sites, Ruled otherwise) const;

  ByteTable node_keys_;
  std::vector<Node> nodes_;
  ByteTable glob_keys_;
  std::vector<std::uint32_t> glob_sites_;
  std::vector<Shape> shapes_;
  PortSites ports_;
  std::vector<Ruled> rules_;
};

}  // namespace sluice::policy
