"""The link without /dev/net/tun: whatever works by a tap must work by packet sockets. --no-tun runs
every other test of this folder that way, too."""

import re
import signal

import pytest

import test_attach
import test_datagrams
import test_dns
import test_ends
import test_fast_path
import test_pasta_dropin
import test_publish
import test_slirp4netns_dropin
import test_tcp
import test_transfer
import test_workers
from harness import PYTHON, check, check_equal, each_family, finish, processes, v4_only


@pytest.fixture
def has_tun():
    return False


def run_as_by_tap(test):
    return pytest.param(test, id=test.__name__.removeprefix("test_"))


@each_family
@pytest.mark.slow_twin
@pytest.mark.parametrize("test", map(run_as_by_tap, (
    test_datagrams.test_udp_largest_datagram_both_ways,  # In fragments.
    test_datagrams.test_udp_sizes_around_the_mtu,
    test_datagrams.test_udp_one_socket_to_many_peers_keeps_its_port,
    test_datagrams.test_udp_closed_port_is_refused,
    test_datagrams.test_udp_echo_of_many_sockets,
    test_datagrams.test_udp_sent_last_still_goes_out,
    test_datagrams.test_ping_server,
    test_datagrams.test_ping_gateway,
    test_datagrams.test_ping_with_large_payload,
    test_dns.test_dig_over_udp,
    test_dns.test_dig_over_tcp,
    test_tcp.test_echo_round_trip,
    test_tcp.test_half_close_by_server,
    test_tcp.test_refused_at_once,
    test_tcp.test_reset_by_server,
    test_tcp.test_reset_by_guest,
    test_tcp.test_slow_reader_loses_nothing,
    test_tcp.test_server_closes_with_data_in_flight,
    test_transfer.test_curl_download_has_equal_sha256,
    test_transfer.test_curl_upload_has_equal_sha256,
    test_transfer.test_iperf3_tcp_bidir,
    test_publish.test_published_tcp_port,
    test_publish.test_published_udp_port,
    test_publish.test_published_port_without_listener_is_reset,
    test_ends.test_slow_server_gets_all_after_the_command_ended,
    test_fast_path.test_fast_path_carries_bytes_out,
    test_fast_path.test_fast_path_carries_bytes_in,
    test_fast_path.test_fast_path_rules_are_there_while_they_are_needed)))
def test_what_a_tap_does_packet_sockets_do(t, test):
    test(t)


@v4_only
@pytest.mark.parametrize("test", map(run_as_by_tap, (
    test_fast_path.test_fast_path_of_root,
    test_slirp4netns_dropin.test_another_network_mtu_and_mac,
    test_slirp4netns_dropin.test_forwards_come_and_go,
    test_slirp4netns_dropin.test_it_ends_as_told)))
def test_also_with_one_family(t, test):
    test(t)


@v4_only
@pytest.mark.parametrize("test", map(run_as_by_tap, (
    test_attach.test_it_serves_until_the_last_process_has_left,
    test_attach.test_when_told_to_end_it_leaves_nothing_behind)))
def test_also_of_attach(t, test):
    test(t)


@each_family
@pytest.mark.parametrize("path", ["off", "require"])
def test_also_a_namespace_of_an_ordinary_user(t, path):
    test_attach.test_a_namespace_of_an_ordinary_user_is_served(t, path)


@pytest.fixture
def pasta(t):
    made = test_pasta_dropin.Pasta(t)
    yield made
    made.end_all()


@v4_only
@pytest.mark.parametrize("test", map(run_as_by_tap, (
    test_pasta_dropin.test_a_command_has_both_families,
    test_pasta_dropin.test_ports_lead_in,
    test_pasta_dropin.test_without_config_net_the_interface_is_left_to_others,
    test_pasta_dropin.test_as_podman_calls_it)))
def test_also_of_pasta(t, pasta, test):
    test(t, pasta)


@each_family
@pytest.mark.parametrize("path", test_workers.PATHS)
def test_also_with_two_workers(t, path):
    t.workers = 2
    test_workers.test_forty_connections_at_once(t, path)
    test_workers.test_forty_clients_of_a_published_port(t, path)


@each_family
@pytest.mark.parametrize("mtu", [1280, 1500, 65520])
def test_large_transfers_at_every_mtu(t, mtu):
    """Nothing is cut, and little is sent twice: a sender that moves to another processor overtakes
    itself, and each time some hundred segments are taken for lost."""
    t.listen(7000, test_attach.digest)
    out = """
before = counter("Tcp", "RetransSegs")
block = os.urandom(1 << 20)
s = connect(args[0], 7000); s.sendall(block * 32); s.shutdown(socket.SHUT_WR)
print(read_all(s).decode() == hashlib.sha256(block * 32).hexdigest())
"""
    said = t.python(out + 'print(counter("Tcp", "RetransSegs") - before)', t.srv,
                    options=[f"--mtu={mtu}", "--fast-path=off"])
    check_equal(said.split()[0], "True", "whether all came whole")
    check(int(said.split()[1]) <= 2000, f"segments sent twice: {said.split()[1]}")
    link = t.guest_ok(["cat", "/sys/class/net/tap0/mtu"], [f"--mtu={mtu}"]).stdout
    check_equal(link.strip(), str(mtu), "the interface's MTU")


@pytest.mark.parametrize("nobody", [True, False], ids=["nobody", "root"])
def test_it_says_so_and_only_where_asked(t, nobody):
    said = t.guest_ok(["true"], ["-v"], nobody=nobody).stderr
    check("/dev/net/tun: No such file or directory; the guest's interface is one of a veth pair"
          in said, f"it does not say which link it is: {said}")
    check_equal(t.guest_ok(["true"], nobody=nobody).stderr, "", "what is said without --verbose")
    said = t.guest_ok(["true"], ["-v", "--workers=2"], nobody=nobody).stderr
    check("each worker's by its flows' hash" in said, f"several workers: {said}")


def test_the_guest_sees_its_end_alone(t):
    """Its kernel knows of two interfaces, and of nobody beyond but the gateway."""
    said = t.guest_ok(["sh", "-c", "ip -o link | wc -l; ip -d -o link show tap0; ip neigh"]).stdout
    lines = said.splitlines()
    check_equal(lines[0].strip(), "2", "interfaces")
    check("veth" in lines[1] and "link-netnsid" in lines[1], f"its interface: {lines[1]}")


@pytest.mark.parametrize("nobody", [True, False], ids=["nobody", "root"])
def test_a_guest_that_deletes_its_interface_has_no_network(t, nobody):
    options = [] if not nobody else ["--as-root"]
    child = t.start(["sh", "-c", "ip link del tap0; sleep 2; echo over"], options, nobody=nobody)
    status, out, said = finish(child, 20)
    check_equal(status, 0, f"the command, with {said}")
    check_equal(out, "over\n", "what it said")
    check("deleted its network interface" in said, f"nobody is told: {said}")


def test_without_either_both_are_named(t):
    """Another namespace is one too many."""
    launch = " ".join(["sysctl -qw user.max_net_namespaces=1 && exec", t.path, "run", "true"])
    done = t.net.run(t.net.hst, ["unshare", "-Ur", "sh", "-c", launch], True)
    check_equal(done.returncode, 125, "exit status")
    lines = done.stderr.splitlines()
    check_equal(len(lines), 1, f"lines of {done.stderr}")
    for part in ("/dev/net/tun: No such file or directory", "veth pair", "modprobe tun",
                 "user.max_net_namespaces"):
        check(part in lines[0], f"'{part}' is not in: {lines[0]}")


def test_nothing_is_left_of_a_guest_that_is_killed(t):
    child = t.start(["sleep", "100"])
    engine = t.engine_pid(child)
    processes.wait_until(lambda: "veth" in t.net.run(
        t.net.hst, ["nsenter", "-t", str(guest_of(child, engine)), "-n", "ip", "-d", "link"]
    ).stdout, 10, "no interface")
    child.send_signal(signal.SIGTERM)
    finish(child, 20)
    t.check_nothing_left()


def guest_of(child, engine):
    inside = processes.net_namespace(engine)
    return next(pid for pid in processes.descendants(child.pid)
                if processes.net_namespace(pid) not in (None, inside))


VLAN = """
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("tap0", 0))
for _ in range(3):
    s.send(b"\\xff" * 6 + b"\\x52\\x54\\x00\\x12\\x34\\x56" + b"\\x81\\x00\\x00\\x05" +
           b"\\x08\\x00" + bytes(100))
"""


def test_frames_of_a_vlan_are_no_frames_of_ours(t):
    """As by a tap: their tags are seen, and they are counted."""
    said = t.guest_ok([PYTHON, "-c", VLAN], ["--as-root", "--report"]).stderr
    counted = re.search(r"foreign-ether-type +(\d+)", said)
    check(counted and int(counted[1]) >= 3, f"they are not counted: {said}")
