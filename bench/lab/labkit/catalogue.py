"""All cells of the lab, and which of them a run has."""

from . import datagrams, forwarders, inbound, latency, lifecycle, names, revocation, throughput
from .cells import ALL, NAMESPACE, QUICK, ROUTED, SMOKE, WHOLE, Cell, Threshold

# The fast path must never cost anything beside the tap: a tenth is this lab's noise.
NO_SLOWER = Threshold("sluice-tap", at_most=1.1)
NO_LESS = Threshold("sluice-tap", at_least=0.9)
FASTER = (Threshold("pasta", at_most=1.0), NO_SLOWER)
CYCLES = (Threshold("pasta", at_most=0.7), Threshold("direct", at_most=1.6), NO_SLOWER)
# 1.2 times pasta's rate, as time.
MORE_AT_ONCE = (Threshold("pasta", at_most=0.83), NO_SLOWER)
IDLE_CONNECTIONS = 10_000
TRANSFER_BYTES = 256_000_000
CHURN_RATE, CHURN_FLOWS = 1000, 64
REVOKED = 1000
# slirp4netns polls all its sockets in turn; it is left out so that it does not hold up a round.
HOLDERS = tuple(name for name in NAMESPACE if name != "slirp4netns")


def all_cells(family):
    return [*_cubic(), *_bbr(), *_transfers(), *_round_trips(), *_one_packet(), *_udp(), *_churn(),
            *_lifecycle(), *_policy(), *_packet(), *inbound.cells(), *forwarders.cells(family)]


def of_run(tier, patterns, family, clients):
    """The cells of a run: of its tier, or those whose names contain one of the patterns.

    `clients(name)` says whether a client program exists. A cell that another is derived from
    comes with it.
    """
    cells = all_cells(family)
    if patterns:
        chosen = {cell.name for cell in cells if any(word in cell.name for word in patterns)}
    else:
        chosen = {cell.name for cell in cells if _tier(cell) <= tier}
    chosen |= {cell.derived_from for cell in cells if cell.name in chosen}
    return [cell for cell in cells
            if cell.name in chosen and (cell.needs is None or clients(cell.needs))]


# A quick run has no time for every forwarder cell; these show the bulk and the small.
QUICK_FORWARDING = ("fwd tcp-out P1", "fwd rr", "fwd crr p50")


def _tier(cell):
    if cell.group != "forward":
        return cell.tier
    name = cell.derived_from or cell.name
    return QUICK if name.startswith(QUICK_FORWARDING) and "64" not in name else WHOLE


def _streams(direction, count, mtu, control, name, **more):
    places = ALL if count == 1 and direction != "bidir" else ROUTED
    return Cell(name, "Gbit/s", throughput.streams(direction, count, mtu, control), places, mtu,
                direction=direction, streams=count, congestion=control, **more)


def _cubic():
    for mtu in (1500, 9000, 65520):
        for direction in ("out", "in", "bidir"):
            for count in (1, 8):
                yield _streams(direction, count, mtu, "cubic",
                               f"tcp-{direction} mtu{mtu} P{count}",
                               **_bounds(direction, count, mtu))


def _bounds(direction, count, mtu):
    """What the fast path must reach, at an MTU of 1500 and of 65520."""
    if mtu == 9000:
        return {"tier": WHOLE, "most_rounds": 2}
    thresholds = (NO_LESS,)
    if direction != "bidir" and count == 1:
        thresholds += (Threshold("pasta", at_least=1.7), Threshold("direct", at_least=0.55))
    elif direction != "bidir":
        thresholds += (Threshold("pasta", at_least=1.5),)
    tier = QUICK
    if direction == "bidir":
        tier = WHOLE
    elif (direction, count, mtu) in (("out", 1, 1500), ("in", 1, 65520)):
        tier = SMOKE
    return {"thresholds": thresholds, "cpu_threshold": Threshold("pasta", at_most=0.4),
            "tier": tier}


def _bbr():
    for mtu in (1500, 65520):
        for direction in ("out", "in"):
            yield _streams(direction, 1, mtu, "bbr", f"tcp-{direction} mtu{mtu} P1 bbr",
                           tier=WHOLE, most_rounds=2)


def _transfers():
    for direction in ("out", "in"):
        yield Cell(f"transfer {direction}", "Gbit/s",
                   throughput.transfer(direction, TRANSFER_BYTES), ROUTED, 65520, "transfer",
                   direction=direction, streams=1, congestion="cubic", cost=3, most_rounds=3,
                   needs="transfer-client")


def _with_p99(label, measure, thresholds=(), **more):
    """A cell of medians, and one of the p99 of the same runs."""
    source = Cell(f"{label} p50", "µs", measure, ALL, latency.MTU, better="lower",
                  thresholds=thresholds, **{"group": "latency", "cost": 1.5, **more})
    yield source
    yield Cell(f"{label} p99", "µs", None, ALL, latency.MTU, source.group, "lower",
               derived_from=source.name, derived_key="p99_ns", derived_scale=1e-3,
               flows=source.flows, tier=source.tier,
               needs=source.needs)


def _round_trips():
    for label, program, count, flows, thresholds, tier in (
            ("rr", "rr-client", 20000, 1, FASTER, SMOKE),
            ("rr-8", "rr-client", 4000, 8, (), WHOLE),
            ("rr-64", "rr-client", 500, 64, MORE_AT_ONCE, QUICK),
            ("crr", "crr-client", 4000, 1, CYCLES, SMOKE),
            ("crr-8", "crr-client", 500, 8, (), WHOLE),
            ("crr-64", "crr-client", 100, 64, FASTER, QUICK),
            ("udp-rr", "udp-rr-client", 10000, 1, (), QUICK)):
        yield from _with_p99(label, latency.round_trips(program, count, flows), thresholds,
                             flows=flows, tier=tier, cost=1.5 if flows == 1 else 3,
                             most_rounds=3 if tier == WHOLE else None)


def _one_packet():
    yield from _with_p99("icmp-rr", latency.icmp(2000), flows=1)
    yield from _with_p99("tcp-rx one-way", latency.one_way(1000), flows=1, cost=2.5)


def _udp():
    yield Cell("udp-out 1400", "Gbit/s", datagrams.one_way(1400, 1500), ALL, 1500, "udp",
               thresholds=(Threshold("pasta", at_least=1.5),), direction="out", streams=1)
    yield Cell("udp-out 64000", "Gbit/s", datagrams.one_way(64000, latency.MTU), ALL, latency.MTU,
               "udp", direction="out", streams=1, tier=WHOLE, most_rounds=3)
    for label, fresh, tier in (("dns new names", True, QUICK), ("dns 64 names", False, WHOLE)):
        yield Cell(label, "queries/s", latency.dns(fresh), ROUTED, latency.MTU, "udp", tier=tier)


def _churn():
    yield from _with_p99(f"churn {CHURN_RATE}/s", latency.churn(CHURN_RATE, CHURN_FLOWS),
                         group="churn", cost=None, needs="transfer-client")


def _lifecycle():
    yield Cell("start-up", "ms", lifecycle.start_up, NAMESPACE, 0, "start", "lower", FASTER,
               tier=SMOKE, cost=1)
    memory = Cell("idle rss", "MiB", lifecycle.idle_memory, NAMESPACE, 0, "memory", "lower",
                  at_most=8.0, tier=SMOKE, cost=0.8, most_rounds=3)
    yield memory
    yield _pss(memory, "idle pss")
    held = Cell("10000 idle rss", "MiB", lifecycle.held_memory(IDLE_CONNECTIONS), HOLDERS, 0,
                "memory", "lower", tier=WHOLE, cost=8, most_rounds=2)
    yield held
    yield _pss(held, "10000 idle pss")


def _packet():
    """Packet sockets in the place of the tap: ours beside ours."""
    places = ("sluice-tap", "sluice-packet")
    no_less, no_slower = Threshold(places[0], at_least=0.85), Threshold(places[0], at_most=1.18)
    for mtu in (1500, 65520):
        for direction in ("out", "in"):
            yield Cell(f"packet tcp-{direction} mtu{mtu}", "Gbit/s",
                       throughput.streams(direction, 1, mtu), places, mtu, "packet",
                       thresholds=(no_less,), direction=direction, streams=1, congestion="cubic",
                       tier=WHOLE)
    for label, program, count in (("rr", "rr-client", 20000), ("crr", "crr-client", 4000),
                                  ("udp-rr", "udp-rr-client", 10000)):
        yield Cell(f"packet {label} p50", "µs", latency.round_trips(program, count, 1), places,
                   latency.MTU, "packet", "lower", (no_slower,), flows=1, tier=WHOLE, cost=1.5)
    yield Cell("packet udp-out 1400", "Gbit/s", datagrams.one_way(1400, 1500), places, 1500,
               "packet", thresholds=(no_less,), direction="out", streams=1, tier=WHOLE)
    yield Cell("packet start-up", "ms", lifecycle.start_up, places, 0, "packet", "lower",
               tier=WHOLE, cost=1)


def _policy():
    """What it costs that names decide: ours with 1,000 rules of names beside ours with none."""
    places = ("sluice", "sluice-names")
    for direction in ("out", "in"):
        for mtu in (1500, 65520):
            yield Cell(f"policy tcp-{direction} mtu{mtu}", "Gbit/s",
                       throughput.streams(direction, 1, mtu), places, mtu, "policy",
                       thresholds=(Threshold("sluice", at_least=0.97),), direction=direction,
                       streams=1, congestion="cubic", tier=WHOLE)
    for label, program, count, flows, thresholds in (
            ("rr", "rr-client", 20000, 1, ()),
            ("crr", "crr-client", 4000, 1, (Threshold("sluice", at_most=1.05),)),
            ("crr-64", "crr-client", 100, 64, ())):
        yield Cell(f"policy {label} p50", "µs", latency.round_trips(program, count, flows), places,
                   latency.MTU, "policy", "lower", thresholds, flows=flows, tier=WHOLE, cost=1.5)
    yield Cell("policy dns 64 names", "queries/s",
               latency.dns_of(names.KNOWN[:latency.DNS_NAMES]), places, latency.MTU, "policy",
               thresholds=(Threshold("sluice", at_least=0.9),), tier=WHOLE)
    # What a person may expect of a change, the start of `ctl` within it.
    yield Cell(f"policy revoke {REVOKED // 2} of {REVOKED}", "ms", revocation.revoked(REVOKED),
               ("sluice-names",), 0, "policy", "lower", at_most=100.0, tier=WHOLE, cost=4)
    yield Cell("policy idle rss", "MiB", lifecycle.idle_memory, places, 0, "policy", "lower",
               tier=WHOLE, cost=0.8, most_rounds=3)


def _pss(source, name):
    return Cell(name, "MiB", None, source.engines, 0, "memory", "lower", derived_from=source.name,
                derived_key="pss", derived_scale=1 / 1024, tier=source.tier)
