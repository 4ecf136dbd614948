"""Several targets: balancing, health checks, failover."""

import collections
import time

from forwarding import check, wait_until
from harness import check_equal


def naming(t, count, port=None):
    """Servers that say their number at once and hold the connection until its end."""
    servers = []
    for number in range(count):
        servers.append(t.serve(lambda c, n=number: c.sendall(b"%d" % n) or c.recv(1), port=port))
    return servers


def spread(t, servers, text="", targets=None):
    port = t.port()
    targets = targets or [f'"127.0.0.1:{server.port}"' for server in servers]
    t.forward_file(f'''
    workers = 2
    [[forwarding_rules]]
    listen = "127.0.0.1:{port}"
    targets = [{", ".join(targets)}]
    {text}
    ''', ready=[port])
    return port


def who(t, port, source=None):
    """The number of the server that answers, and the open connection."""
    client = t.connect(port, source=source)
    return int(client.recv(1)), client


def counts(t, port, number, source=None):
    found = collections.Counter()
    for _ in range(number):
        server, client = who(t, port, source)
        client.close()
        found[server] += 1
    return dict(found)


def test_balance_round_robin(t):
    port = spread(t, naming(t, 3))
    check_equal(counts(t, port, 30), {0: 10, 1: 10, 2: 10}, "connections of each target")


def test_balance_round_robin_by_weight(t):
    servers = naming(t, 3)
    port = spread(t, servers, targets=[f'{{to = "127.0.0.1:{s.port}", weight = {w}}}'
                                       for s, w in zip(servers, (1, 2, 5))])
    check_equal(counts(t, port, 40), {0: 5, 1: 10, 2: 25}, "connections of each target")


def test_balance_weight_zero_is_a_spare(t):
    servers = naming(t, 2)
    port = spread(t, servers, 'health = { interval = "50ms", fall = 1, rise = 1 }',
                  targets=[f'"127.0.0.1:{servers[0].port}"',
                           f'{{to = "127.0.0.1:{servers[1].port}", weight = 0}}'])
    check_equal(counts(t, port, 10), {0: 10}, "while the first is up")
    servers[0].close()
    wait_until(lambda: who(t, port)[0] == 1, "the spare does not serve")


def test_balance_least_connections(t):
    port = spread(t, naming(t, 3), 'balance = "least-connections"')
    kept = [who(t, port) for _ in range(9)]
    check_equal(collections.Counter(n for n, _ in kept), {0: 3, 1: 3, 2: 3}, "nine at once")
    for number, client in kept:
        if number == 1:
            client.close()
    time.sleep(0.3)
    again = [who(t, port)[0] for _ in range(3)]
    check_equal(again, [1, 1, 1], "after those of one target ended")


def test_balance_client_hash_is_sticky(t):
    servers = naming(t, 4)
    port = spread(t, servers, 'balance = "client-hash"')
    homes = {}
    for number in range(1, 41):
        source = f"127.0.1.{number}"
        found = counts(t, port, 3, source)
        check_equal(len(found), 1, f"targets of the client {source}")
        homes[source] = next(iter(found))
    check_equal(len(set(homes.values())), 4, "targets that have clients")
    # A dead target's clients move; the others stay.
    servers[2].close()
    for source, home in homes.items():
        now, _ = who(t, port, source)
        check(now != 2 and (home == 2 or now == home), f"{source} moved from {home} to {now}")


def test_failover_on_refused_connect(t):
    """Nobody sees a dead target while another lives, even without health checks."""
    servers = naming(t, 3)
    dead = t.port()
    port = spread(t, servers, targets=[f'"127.0.0.1:{dead}"', f'"127.0.0.1:{servers[1].port}"',
                                       f'"127.0.0.1:{servers[2].port}"'])
    found = counts(t, port, 30)
    check(set(found) == {1, 2} and min(found.values()) >= 8, f"connections: {found}")


def test_health_check_takes_a_dead_target_out_and_back_in(t):
    first = t.serve(lambda c: c.sendall(b"0") or c.recv(1))
    target = t.port()
    second = t.serve(lambda c: c.sendall(b"1") or c.recv(1), port=target)
    port = spread(t, [first, second],
                  'health = { interval = "100ms", timeout = "1s", rise = 2, fall = 2 }')
    wait_until(lambda: set(counts(t, port, 4)) == {0, 1}, "both serve")
    second.close()
    time.sleep(0.6)
    check_equal(counts(t, port, 6), {0: 6}, "with one target dead")
    t.serve(lambda c: c.sendall(b"1") or c.recv(1), port=target)
    wait_until(lambda: counts(t, port, 4) == {0: 2, 1: 2}, "the target does not come back", 3)


def test_health_check_of_all_dead_still_tries(t):
    targets = [t.port(), t.port()]
    port = t.port()
    t.forward_file(f'''
    [[forwarding_rules]]
    listen = "127.0.0.1:{port}"
    targets = ["127.0.0.1:{targets[0]}", "127.0.0.1:{targets[1]}"]
    health = {{ interval = "10s", fall = 1 }}
    ''', ready=[port])
    time.sleep(0.3)  # The first check has found both dead; the next comes in 10 s.
    t.serve(port=targets[1])
    check_equal(t.ask(port, b"x"), b"x", "with the checks not yet aware")


def test_failover_among_several_targets_of_the_command_line(t):
    servers = naming(t, 2)
    dead, port = t.port(), t.port()
    listed = ",".join(f"127.0.0.1:{p}" for p in (dead, servers[0].port, servers[1].port))
    t.sluice("--balance=least-connections", f"127.0.0.1:{port}", listed, ready=[f"tcp:{port}"])
    check_equal(set(counts(t, port, 10)), {0, 1}, "targets that serve")
