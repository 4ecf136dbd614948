"""What every guest needs of its engine: addresses, names, transfers both ways, ports, pings."""

import json
import pathlib
import re
import sys

import pytest

from files import big_file, serve_files
from harness import (DNS, GATEWAY, GUEST, bracket, check, check_equal, each_family, echo, v4_only,
                     v6_only)
from labkit import iperf
from place import PORTS

any_engine = pytest.mark.engines("passt", "slirp")
# passt of 2023-03 does not get over a half-close, and leaves a refused connection waiting.
with_slirp = pytest.mark.engines("slirp")
with_passt = pytest.mark.engines("passt")
TCP_PORT, UDP_PORT = PORTS
RESOLVER = pathlib.Path(iperf.__file__).with_name("resolver.py")


@pytest.mark.every_link
@any_engine
def test_dhcp_gives_address_router_and_resolver(t):
    lease = dict(re.findall(r"^(\w+)='(.*)'$", t.ok("cat /run/lease.bound"), re.MULTILINE))
    wanted = {"ip": GUEST[4], "mask": "24", "router": GATEWAY[4], "dns": DNS[4]}
    # passt names the host's resolver; called as passt, we name where --dns-forward says.
    if t.place.setup.engine == "passt" and lease.get("dns") != DNS[4]:
        wanted["dns"] = t.net.SRV[4]
    check_equal({name: lease.get(name) for name in wanted}, wanted, "the lease")


@pytest.mark.every_link
@any_engine
def test_router_advertisement_gives_prefix_and_route(t):
    check("fd00:" in t.ok("ip -6 addr show scope global"), "no address of the prefix")
    check_equal(t.ok("ip -6 route | grep -c ^default").strip(), "1", "default routes")


@any_engine
def test_dhcp_again_renews_the_same_address(t):
    t.machine.network_up(4)
    check_equal(t.ok("grep ^ip= /run/lease.bound").strip(), f"ip='{GUEST[4]}'", "the next lease")


@with_passt
def test_names_by_the_resolver_of_the_lease(t):
    # passt gives answers of the host's resolver another source: it wants to be asked itself.
    check_name(t, DNS[4] if t.place.setup.engine == "passt" else "")


@v6_only
def test_names_by_the_resolver_over_ipv6(t):
    check_name(t, DNS[6])


def check_name(t, server):
    t.net.popen(t.net.srv, [sys.executable, RESOLVER, "53"])
    said = t.ok(f"for i in 1 2 3 4 5; do nslookup -type=a www.example.org {server} && break; "
                "sleep 1; done")
    check("192.0.2.1" in said, f"nslookup says {said}")


@pytest.mark.every_link
@any_engine
@each_family
def test_round_trips(t):
    t.listen(7001, echo)
    said = t.ok(f"rr-client {t.srv} 7001 500 --json", 120)
    check_equal(json.loads(said)["n"], 500, "round trips")


@any_engine
@each_family
def test_connections_one_after_another(t):
    t.lab_server("--echo", 7007)
    said = t.ok(f"crr-client {t.srv} 7007 300 --json", 120)
    check_equal(json.loads(said)["n"], 300, "connections")


@pytest.mark.setups("qemu-vhost-userx2-sluice", "qemu-vhost-userx2x2-sluice")
@each_family
def test_each_processor_has_its_queue(t):
    """Linux sends by the queue of the processor, and finds there what comes back."""
    t.lab_server("--echo", 7007)
    t.lab_server("--transfer", 7020)
    for mask in (1, 2):
        said = t.ok(f"taskset {mask} crr-client {t.srv} 7007 100 --json", 120)
        check_equal(json.loads(said)["n"], 100, f"connections of the processors {mask}")
        said = json.loads(t.ok(f"taskset {mask} transfer-client {t.srv} 7020 --bytes {2 << 20} "
                               "--direction both --json", 200))
        check(said["ok"], f"the transfer: {said['problem']}")


@any_engine
@each_family
def test_connections_side_by_side(t):
    t.lab_server("--echo", 7007)
    said = t.ok(f"crr-client {t.srv} 7007 60 --concurrency 8 --json", 120)
    check_equal(json.loads(said)["n"], 480, "connections")


@any_engine
@each_family
def test_datagrams(t):
    t.lab_server("--udp-echo", 7007)
    for size in (8, 1400):
        check_echoes(t, size)


@each_family
def test_datagrams_in_fragments(t):
    t.lab_server("--udp-echo", 7007)
    check_echoes(t, 4000)


def check_echoes(t, size):
    said = t.ok(f"udp-rr-client {t.srv} 7007 50 --size {size} --timeout-ms 2000 --json", 150)
    lost = json.loads(said)["lost"]
    check(lost <= 2, f"{lost} of 50 datagrams of {size} bytes have no echo")


@with_passt
@each_family
def test_ping(t):
    said = t.ok(f"ping -c 3 -W 5 {t.srv}")
    check("3 packets received" in said, f"ping says {said}")


@any_engine
@each_family
def test_download_has_equal_sha256(t):
    _, _, digest = big_file(t)
    server = serve_files(t)
    try:
        said = t.ok(f"curl -sS -g http://{bracket(t.srv)}:8000/big | sha256sum", 400)
    finally:
        server.shutdown()
        server.server_close()
    check_equal(said.split()[0], digest, "SHA-256 of the download")


@any_engine
@each_family
def test_upload_has_equal_sha256(t):
    """Of what comes in at the same time: a guest has no room for a file."""
    _, size, digest = big_file(t)
    server = serve_files(t)
    url = f"http://{bracket(t.srv)}:8000/big"
    try:
        said = t.ok(f"curl -sS -g {url} | curl -sS -g -T - -H Expect: -H Transfer-Encoding: "
                    f"-H 'Content-Length: {size}' {url}", 500)
    finally:
        server.shutdown()
        server.server_close()
    check_equal(said.strip(), digest, "SHA-256 of the upload")


@pytest.mark.every_link
@with_slirp
@each_family
@pytest.mark.parametrize("direction", ["out", "in", "both"])
def test_every_byte_is_in_its_place(t, direction):
    t.lab_server("--transfer", 7020)
    size = (4 if t.emulated else 64) << 20
    said = json.loads(t.ok(f"transfer-client {t.srv} 7020 --bytes {size} --direction {direction} "
                           "--json", 200))
    check(said["ok"], f"the transfer: {said['problem']}")


@any_engine
@each_family
@pytest.mark.parametrize("direction", ["out", "in"])
def test_iperf3(t, direction):
    sample = iperf.measure(t.net, t, t.family, direction, 2, 1 if t.fast else 3)
    check(sample["bytes"] > 0, f"{sample}")


@with_passt
@each_family
def test_published_tcp_port(t):
    t.serve_in_guest("--echo", TCP_PORT)
    client = t.connect_from(t.net.cli, {4: "10.0.1.1", 6: "fd01::1"}[t.family], TCP_PORT, 20)
    for _ in range(20):
        client.sendall(b"x" * 10_000)
        left = 10_000
        while left:
            data = client.recv(left)
            check(data, "the published port's connection has ended")
            left -= len(data)


@with_passt
@each_family
def test_published_udp_port(t):
    t.serve_in_guest("--udp-echo", UDP_PORT)
    done = t.net.run(t.net.cli, [t.client("udp-rr-client"), {4: "10.0.1.1", 6: "fd01::1"}[t.family],
                                 str(UDP_PORT), "50", "--timeout-ms", "2000", "--json"])
    check_equal(done.returncode, 0, f"the client's status ({done.stderr})")
    check(json.loads(done.stdout)["lost"] <= 2, f"the client says {done.stdout}")


@with_slirp
@v4_only
def test_refused_connection_is_refused(t):
    done = t.run(f"rr-client {t.srv} 9 1")
    check("refused" in done.stderr.lower(), f"the client says {done.stderr}")
