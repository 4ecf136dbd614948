"""The lab's engines whose guest serves, and the cells that they are measured in."""

from unittest import mock

from labkit import catalogue, inbound_engines
from labkit.registry import ENGINES


def words_of(name):
    """What an engine is started with, and its ports."""
    with mock.patch.object(inbound_engines, "ServingGuest") as guest, \
         mock.patch.object(inbound_engines, "_loopback_first", lambda path: ()):
        ENGINES[name].start(None, "program", 1500, 4)
    _, _, words, ports = guest.call_args.args
    return words, ports


def test_instances_have_numbers_of_their_own():
    first, second = inbound_engines.Ports(), inbound_engines.Ports()
    numbers = [(p.bulk, p.echo, p.out_bulk, p.out_echo) for p in (first, second)]
    assert len({*numbers[0], *numbers[1]}) == 8


def test_both_programs_lead_the_same_ports():
    for name in ("pasta-in", "sluice-in"):
        words, ports = words_of(name)
        assert words[words.index("-t") + 1] == f"{ports.bulk}:5301,{ports.echo}:5302"
        assert words[words.index("-T") + 1] == f"{ports.out_bulk},{ports.out_echo}"
    assert "--host-lo-to-ns-lo" in words


def test_each_way_has_bulk_and_connect_cycles():
    names = {cell.name for cell in catalogue.all_cells(4) if cell.group == "inbound"}
    assert names == {"inbound mtu1500", "inbound mtu65520", "lo-in", "lo-out", "inbound crr p50",
                     "lo-in crr p50", "lo-out crr p50"}
    for cell in catalogue.all_cells(4):
        if cell.group == "inbound":
            assert cell.judged == "sluice-in"
            assert set(cell.engines[1:]) == {"pasta-in", "sluice-in"}
