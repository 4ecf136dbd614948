"""SIGHUP and changes of the file: new rules work, gone ones close, nothing is cut."""

import json
import os
import signal
import socket
import threading
import time

import pytest

from forwarding import busy_share, check, read_exactly, reset, wait_until
from harness import check_equal
from streams import EchoLoad, echo_in_process


def rinetd_rules(*pairs):
    return "".join(f"127.0.0.1 {port} 127.0.0.1 {target}\n" for port, target in pairs)


def start(t, text, *ports, options=("--no-watch",)):
    return t.forward_file(text, *options, ready=ports, name="rules.conf")


def reload(t, forwarder, path, text):
    t.replace(path, text)
    forwarder.send_signal(signal.SIGHUP)


def test_reload_new_rule_works_and_gone_rule_closes(t):
    server = t.serve()
    one, two, three = t.port(), t.port(), t.port()
    forwarder, path = start(t, rinetd_rules((one, server.port), (two, server.port)), one, two)
    kept = t.connect(one)
    kept.sendall(b"a")
    read_exactly(kept, 1)
    reload(t, forwarder, path, rinetd_rules((two, server.port), (three, server.port)))
    t.wait_for(forwarder, f"tcp:{three}")
    check_equal(t.ask(three), b"ping", "the new rule")
    wait_until(lambda: t.refused(one), "the gone rule still listens")
    check_equal(t.ask(two), b"ping", "the rule that stayed")
    kept.sendall(b"b")
    check_equal(read_exactly(kept, 1), b"b", "a connection of the gone rule")


def test_reload_changed_target_is_for_new_connections(t):
    old = t.serve(lambda c: [c.sendall(b"old") for _ in iter(lambda: c.recv(10), b"")])
    new = t.serve(lambda c: [c.sendall(b"new") for _ in iter(lambda: c.recv(10), b"")])
    port = t.port()
    forwarder, path = start(t, rinetd_rules((port, old.port)), port)
    kept = t.connect(port)
    kept.sendall(b"?")
    check_equal(read_exactly(kept, 3), b"old", "before")
    reload(t, forwarder, path, rinetd_rules((port, new.port)))
    wait_until(lambda: t.ask(port) == b"new", "new connections go to the old target")
    kept.sendall(b"?")
    check_equal(read_exactly(kept, 3), b"old", "the old connection")


def test_reload_access_rules_take_effect(t):
    server = t.serve()
    port = t.port()
    forwarder, path = start(t, rinetd_rules((port, server.port)), port)
    check_equal(t.ask(port), b"ping", "before")
    reload(t, forwarder, path, "deny 127.0.0.1\n" + rinetd_rules((port, server.port)))

    def denied():
        try:
            return t.ask(port) == b""
        except ConnectionError:
            return True

    wait_until(denied, "the new deny rule does not count")


def test_reload_bad_file_is_refused_whole(t):
    server = t.serve()
    one, two = t.port(), t.port()
    forwarder, path = start(t, rinetd_rules((one, server.port)), one)
    good = rinetd_rules((one, server.port))
    reload(t, forwarder, path, rinetd_rules((two, server.port)) + "127.0.0.1 nonsense here\n")
    wait_until(lambda: "rules.conf:2" in forwarder.err(), "no message with file and line")
    check_equal(t.ask(one), b"ping", "the old rule")
    check(t.refused(two), "a rule of the bad file is in force")
    reload(t, forwarder, path, good + rinetd_rules((two, server.port)))
    t.wait_for(forwarder, f"tcp:{two}")
    check_equal(t.ask(two), b"ping", "after the mend")


def test_reload_to_a_port_in_use_keeps_the_old_rules(t):
    server = t.serve()
    one = t.port()
    taken = t.listener().getsockname()[1]
    forwarder, path = start(t, rinetd_rules((one, server.port)), one)
    reload(t, forwarder, path, rinetd_rules((taken, server.port)))
    wait_until(lambda: str(taken) in forwarder.err(), "no message about the port")
    check_equal(t.ask(one), b"ping", "the old rule")


def test_reload_missing_file_keeps_the_old_rules(t):
    server = t.serve()
    one = t.port()
    forwarder, path = start(t, rinetd_rules((one, server.port)), one)
    os.unlink(path)
    forwarder.send_signal(signal.SIGHUP)
    wait_until(lambda: "rules.conf" in forwarder.err(), "no message about the file")
    check_equal(t.ask(one), b"ping", "the old rule")


def test_reload_when_the_file_changes(t):
    """By a rename over it, as editors do; and by a write in place."""
    server = t.serve()
    one, two, three = t.port(), t.port(), t.port()
    forwarder, path = start(t, rinetd_rules((one, server.port)), one, options=())
    t.replace(path, rinetd_rules((one, server.port), (two, server.port)))
    t.wait_for(forwarder, f"tcp:{two}")
    with open(path, "a", encoding="ascii") as file:
        file.write(rinetd_rules((three, server.port)))
    t.wait_for(forwarder, f"tcp:{three}")
    check_equal([t.ask(port) for port in (one, two, three)], [b"ping"] * 3, "all rules")


def test_reload_not_watched_when_asked(t):
    server = t.serve()
    one, two = t.port(), t.port()
    _, path = start(t, rinetd_rules((one, server.port)), one, options=("--no-watch",))
    t.replace(path, rinetd_rules((two, server.port)))
    time.sleep(1.5)
    check(t.refused(two), "the change was read without a signal")
    check_equal(t.ask(one), b"ping", "the old rule")


def test_reload_moves_the_log(t):
    server = t.serve()
    port = t.port()
    one, two = t.path("one.log"), t.path("two.log")
    rules = rinetd_rules((port, server.port))
    forwarder, path = start(t, f"{rules}logfile {one}\n", port)
    t.ask(port)
    wait_until(lambda: os.path.getsize(one) > 0, "nothing in the first log")
    reload(t, forwarder, path, f"{rules}logfile {two}\n")
    wait_until(lambda: os.path.exists(two), "the second log is not made")

    def lines_in_two():
        t.ask(port)
        return os.path.getsize(two) > 0

    wait_until(lines_in_two, "nothing in the second log")
    # As logrotate does it: the file is renamed, then SIGHUP.
    os.rename(two, two + ".1")
    forwarder.send_signal(signal.SIGHUP)
    wait_until(lambda: os.path.exists(two), "the log is not opened anew")


def test_reload_keeps_waiting_connections_of_a_listener(t):
    """No connection that a client has made is lost, even if it comes between the two."""
    server = t.serve()
    port, other = t.port(), t.port()
    forwarder, path = start(t, rinetd_rules((port, server.port)), port)
    failed, count, stop = [], [0], threading.Event()

    def connect_on_and_on():
        while not stop.is_set():
            try:
                check_equal(t.ask(port, b"x"), b"x", "echo")
                count[0] += 1
            except Exception as error:  # Told below.
                failed.append(repr(error))

    threads = [threading.Thread(target=connect_on_and_on) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(20):
        more = rinetd_rules((other, server.port)) if number % 2 else ""
        reload(t, forwarder, path, rinetd_rules((port, server.port)) + more)
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join()
    check(not failed, f"{len(failed)} connections failed, such as {failed[:2]}")
    check(count[0] > 100, f"only {count[0]} connections were made")


@pytest.mark.within(90)
def test_reload_under_load(t):
    """1,000 connections moving data, 20 reloads; every stream's bytes compared."""
    listening = t.listener(backlog=4096)
    echo_in_process(listening)
    target = listening.getsockname()[1]
    port, other = t.port(), t.port()
    forwarder, path = start(t, rinetd_rules((port, target)), port)
    connections = [t.connect(port) for _ in range(1000)]
    load = EchoLoad(connections)
    wait_until(lambda: load.bytes > 10_000_000, "no data moves", 20)
    for number in range(20):
        before = load.bytes
        more = rinetd_rules((other, target)) if number % 2 else ""
        timeout = f"[timeout={100 + number}]"
        text = f"127.0.0.1 {port} 127.0.0.1 {target} {timeout}\n{more}"
        reload(t, forwarder, path, text)
        wait_until(lambda: load.bytes > before + 1_000_000, "data moves no more", 20)
    load.stop(40)
    check_equal(t.ask(port), b"ping", "a new connection")
    check(forwarder.child.poll() is None, "it has ended")


def test_check_prints_the_effective_rules(t):
    path = t.path("rules.toml", '''
    [[forwarding_rules]]
    name = "db"
    listen = "127.0.0.1:5432"
    targets = ["db.example:5432", { to = "10.0.0.3:5432", weight = 2 }]
    balance = "client-hash"
    ''')
    status, said = run_check(t, "--check", path)
    check_equal(status, 0, "exit status")
    for word in ("db", "127.0.0.1:5432", "db.example:5432", "10.0.0.3:5432", "client-hash"):
        check(word in said, f"{word} is missing in: {said}")
    status, said = run_check(t, "--check=json", path)
    check_equal(status, 0, "exit status")
    check("db.example" in json.dumps(json.loads(said)), "the JSON has no target")


def test_check_tells_all_mistakes_with_file_and_line(t):
    path = t.path("bad.toml", '[[forwarding_rules]]\nlisten = "127.0.0.1:99999"\n'
                              'targets = ["127.0.0.1:80"]\nbalance = "magic"\n')
    status, said = t.fails("--check", "-c", path)
    check_equal(status, 2, "exit status")
    check("bad.toml:2" in said and "bad.toml:4" in said, f"it said: {said}")
    path = t.path("bad.conf", "127.0.0.1 80 127.0.0.1 81\n\n127.0.0.1 80\n")
    status, said = t.fails("--check", "-c", path)
    check_equal(status, 2, "exit status")
    check("bad.conf:3" in said, f"it said: {said}")


def test_check_warns_of_unknown_keys(t):
    path = t.path("odd.toml", '[[forwarding_rules]]\nlisten = "127.0.0.1:8080"\n'
                              'targets = ["127.0.0.1:80"]\nbalanse = "x"\n')
    status, said = t.fails("--check", "-c", path)
    check_equal(status, 0, "exit status")
    check("odd.toml:4" in said and "balanse" in said, f"it said: {said}")


def run_check(t, option, path):
    forwarder = t.sluice(option, "-c", path)
    return forwarder.wait(), forwarder.out()


def test_reload_survives_a_client_reset_in_between(t):
    """Reloads and resets mixed leave no descriptor behind."""
    server = t.serve()
    port = t.port()
    forwarder, path = start(t, rinetd_rules((port, server.port)), port)
    t.ask(port)
    before = forwarder.descriptors()
    for number in range(20):
        client = t.connect(port)
        client.sendall(b"x")
        reload(t, forwarder, path, rinetd_rules((port, server.port)) + f"# {number}\n")
        reset(client) if number % 2 else client.shutdown(socket.SHUT_WR)
        client.close()
    wait_until(lambda: forwarder.descriptors() <= before + 2, "descriptors are left")


def test_reload_when_a_link_among_the_folders_is_exchanged(t):
    """As releases are: the path stays, `current` leads elsewhere by a rename."""
    servers = [t.serve(lambda c, name=name: c.sendall(name)) for name in (b"v1", b"v2", b"v3")]
    port = t.port()
    for number, server in enumerate(servers, 1):
        os.makedirs(t.path(f"v{number}/conf"))
        t.path(f"v{number}/conf/rules.conf", rinetd_rules((port, server.port)))
    current = t.path("current")
    os.symlink("v1", current)
    forwarder = t.sluice("-c", f"{current}/conf/rules.conf", ready=[f"tcp:{port}"])
    check_equal(t.ask(port, b""), b"v1", "at first")
    for number in (2, 3):
        os.symlink(f"v{number}", current + ".new")
        os.replace(current + ".new", current)
        wait_until(lambda number=number: t.ask(port, b"") == f"v{number}".encode(),
                   f"release {number} is not used", 8)
    # Its watches followed, and rest.
    used = busy_share(forwarder, 1)
    check(used < 0.3, f"it used {used:.2f} s of a second with nothing to do")
    t.replace(t.path("v3/conf/rules.conf"), rinetd_rules((port, servers[0].port)))
    wait_until(lambda: t.ask(port, b"") == b"v1", "a change of the new file is not noticed", 8)
