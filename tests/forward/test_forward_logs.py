"""The session log: three formats, exact fields, and which sessions have lines."""

import json
import os
import re
import struct
import time

from forwarding import check, how_it_ends, read_exactly, reset, wait_until
from harness import check_equal
from test_forward_udp import UdpServer, ask

DATE = r"[0-3]\d/[A-Z][a-z]{2}/2\d{3}:[0-2]\d:[0-5]\d:[0-6]\d"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def lines(path, count):
    wait_until(lambda: os.path.exists(path) and len(read(path)) >= count,
               f"{path} has no {count} lines")
    return read(path)


def sessions(t, form):
    """One session of each kind: (port, target, log)."""
    server = t.serve(lambda c: c.sendall(b"reply") or c.recv(10) == b"stop" or c.recv(10))
    port, target, log = t.port(), server.port, t.path("log")
    refusing, denied = t.port(), t.port()
    t.forward_file(f'''
    log_file = "{log}"
    log_format = "{form}"
    [[forwarding_rules]]
    name = "web"
    listen = "127.0.0.1:{port}"
    targets = ["127.0.0.1:{target}"]
    deny = ["127.0.0.9"]
    [[forwarding_rules]]
    listen = "127.0.0.1:{refusing}"
    targets = ["127.0.0.1:9"]
    [[forwarding_rules]]
    listen = "127.0.0.1:{denied}"
    targets = ["127.0.0.1:{target}"]
    allow = ["10.*"]
    ''', ready=[port, refusing, denied])
    numbers = []

    def session(last):
        client = t.connect(port)
        numbers.append(client.getsockname()[1])
        read_exactly(client, 5)
        last(client)
        done = len(numbers) * 2
        lines(log, done)

    def client_first(client):
        client.sendall(b"abc")
        client.close()

    def server_first(client):
        client.sendall(b"stop")
        how_it_ends(client)
        client.close()

    session(client_first)
    session(server_first)
    session(reset)
    t.ending(refusing)
    t.ending(port, source="127.0.0.9")
    t.ending(denied)
    return port, target, refusing, denied, log, numbers


RESULTS = [("web", "opened", 0, 0), ("web", "done-remote-closed", 3, 5),
           ("web", "opened", 0, 0), ("web", "done-local-closed", 4, 5),
           ("web", "opened", 0, 0), ("web", "done-remote-closed", 0, 5)]


def test_log_rinetd_format(t):
    port, target, refusing, denied, log, _ = sessions(t, "rinetd")
    got = lines(log, 9)
    check(all(re.match(DATE + " \t", line) for line in got), f"dates: {got[0]!r}")
    wanted = [["127.0.0.1", "127.0.0.1", str(port), "127.0.0.1", str(target), str(up), str(down),
               result] for _, result, up, down in RESULTS]
    check_equal([line.split("\t")[1:] for line in got[:6]], wanted, "the sessions' lines")
    rest = sorted(line.split("\t")[1:] for line in got[6:])
    check_equal(rest, sorted([
        ["127.0.0.1", "127.0.0.1", str(refusing), "127.0.0.1", "9", "0", "0",
         "local-connect-failed"],
        ["127.0.0.9", "127.0.0.1", str(port), "127.0.0.1", str(target), "0", "0", "denied"],
        ["127.0.0.1", "127.0.0.1", str(denied), "127.0.0.1", str(target), "0", "0",
         "not-allowed"]]), "the refused ones")


def test_log_common_format(t):
    port, target, _, denied, log, _ = sessions(t, "common")
    got = lines(log, 9)
    form = (r'(\S+) - - \[' + DATE + r'  [+-]\d{4}\] "GET /rinetd-services/(\S+) HTTP/1\.0" 200 '
            r'(\d+) - - - (\d+)')
    parsed = [re.fullmatch(form, line) for line in got]
    check(all(parsed), f"lines of another form: {got}")
    wanted = [("127.0.0.1", f"127.0.0.1/{port}/127.0.0.1/{target}/{result}", str(down), str(up))
              for _, result, up, down in RESULTS]
    check_equal([match.groups() for match in parsed[:6]], wanted, "the sessions' lines")
    paths = {match.group(2) for match in parsed[6:]}
    check(f"127.0.0.1/{denied}/127.0.0.1/{target}/not-allowed" in paths, f"refused: {paths}")


def test_log_json_format(t):
    port, target, refusing, _, log, numbers = sessions(t, "json")
    got = [json.loads(line) for line in lines(log, 9)]
    keys = ["time", "rule", "client", "listen", "target", "protocol", "event", "result",
            "bytes_from_client", "bytes_to_client", "duration_ms", "error"]
    check(all(list(line) == keys for line in got), f"keys: {list(got[0])}")
    check(all(re.fullmatch(r"2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["time"])
              for line in got), f"times: {got[0]['time']}")
    results = ["opened", "client-closed", "opened", "target-closed", "opened", "client-reset"]
    check_equal([line["result"] for line in got[:6]], results, "results")
    check_equal([line["event"] for line in got[:6]], ["opened", "ended"] * 3, "events")
    check_equal([(line["bytes_from_client"], line["bytes_to_client"]) for line in got[:6]],
                [(up, down) for _, _, up, down in RESULTS], "bytes")
    check_equal([line["client"] for line in got[:6]],
                [f"127.0.0.1:{number}" for number in numbers for _ in range(2)], "clients")
    first = got[1]
    check_equal((first["rule"], first["listen"], first["target"], first["protocol"]),
                ("web", f"127.0.0.1:{port}", f"127.0.0.1:{target}", "tcp"), "of one line")
    check(0 <= first["duration_ms"] < 5000, f"it lasted {first['duration_ms']} ms")
    refused = {line["result"]: line for line in got[6:]}
    check_equal(set(refused), {"connect-failed", "denied", "not-allowed"}, "refused ones")
    check_equal({line["event"] for line in got[6:]}, {"refused"}, "their event")
    check_equal(refused["connect-failed"]["error"], "Connection refused", "why")
    check_equal(refused["connect-failed"]["listen"], f"127.0.0.1:{refusing}", "where")


def test_log_of_udp_sessions(t):
    server = UdpServer(t)
    port, log = t.port(), t.path("log")
    t.forward(f"udp://127.0.0.1:{port}", f"udp://127.0.0.1:{server.port}", "--timeout-udp=300ms",
              f"--log-file={log}", "--log-format=json")
    client = t.udp_client(port)
    for _ in range(3):
        ask(client, b"1234")
    opened, ended = [json.loads(line) for line in lines(log, 2)]
    check_equal((opened["event"], opened["protocol"]), ("opened", "udp"), "the first line")
    check_equal((ended["result"], ended["bytes_from_client"], ended["bytes_to_client"]),
                ("idle", 12, 12), "the second line")


def test_log_is_written_soon_and_appended(t):
    server = t.serve()
    log = t.path("log", "what was there\n")
    for _ in range(2):
        port = t.port()
        forwarder = t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}",
                              f"--log-file={log}")
        before = len(read(log))
        client = t.connect(port)
        started = time.monotonic()
        lines(log, before + 1)
        check(time.monotonic() - started < 1, "a line comes later than a second")
        client.close()
        lines(log, before + 2)
        forwarder.stop()
    check_equal(read(log)[0], "what was there", "the first line")
    check_equal(len(read(log)), 5, "lines")


def test_log_to_standard_output(t):
    server = t.serve()
    port = t.port()
    forwarder = t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}", "--log-file=-")
    t.ask(port)
    wait_until(lambda: forwarder.out().count("\n") == 2, "no two lines on standard output")


def test_log_on_a_full_disk_costs_no_connection(t):
    server = t.serve()
    port = t.port()
    forwarder = t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}", "--log-file=/dev/full")
    for _ in range(50):
        check_equal(t.ask(port), b"ping", "echo")
    wait_until(lambda: "No space left" in forwarder.err(), "it does not say that lines are lost")
    check_equal(forwarder.err().count("No space left"), 1, "how often it says so")


def test_log_that_cannot_be_opened_is_an_error(t):
    status, said = t.fails(f"127.0.0.1:{t.port()}", "127.0.0.1:9",
                           "--log-file=/nonexistent/folder/log")
    check_equal(status, 1, "exit status")
    check("/nonexistent/folder/log" in said, f"it said: {said}")


def test_log_lines_of_many_sessions_are_whole(t):
    server = t.serve()
    port, log = t.port(), t.path("log")
    t.forward(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}", f"--log-file={log}",
              "--log-format=json", "--workers=2")
    for _ in range(500):
        t.ask(port)
    got = [json.loads(line) for line in lines(log, 1000)]
    check_equal(len(got), 1000, "lines")
    check_equal(sum(line["bytes_from_client"] for line in got), 2000, "bytes of all")


def test_log_times_are_of_the_zone_that_a_file_tells(t):
    """The workers open no file, not even that one."""
    offset = (5 * 60 + 45) * 60
    zone = t.path("zone")
    with open(zone, "wb") as file:
        file.write(b"TZif" + bytes(16) + struct.pack(">6i", 0, 0, 0, 0, 1, 4))
        file.write(struct.pack(">iBB", offset, 0, 0) + b"ABC\0")
    server, port, log = t.serve(), t.port(), t.path("log")
    t.sluice(f"--log-file={log}", "--log-format=common", f"127.0.0.1:{port}",
             f"127.0.0.1:{server.port}", ready=[f"tcp:{port}"],
             env=dict(os.environ, TZ=f":{zone}"))
    check_equal(t.ask(port), b"ping", "the answer")
    line = lines(log, 1)[0]
    check("  +0545]" in line, f"not the zone's time: {line}")


def test_refusals_fill_no_disk(t):
    """A client that is denied again and again has its lines, and then a count."""
    port = t.port()
    log = t.path("log")
    t.sluice("--workers=1", "--deny=127.0.0.1", f"--log-file={log}", "--log-format=json",
             f"127.0.0.1:{port}", "127.0.0.1:9", ready=[f"tcp:{port}"])
    for _ in range(600):
        check_equal(t.ending(port)[0], "rst", "how a denied client ends")

    def told():
        with open(log, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        left_out = sum(line.get("left_out", 0) for line in lines)
        own = sum("client" in line for line in lines)
        return own, left_out

    wait_until(lambda: sum(told()) == 600, "refusals are neither told nor counted")
    own, left_out = told()
    check(100 <= own < 500 and left_out > 0, f"{own} lines and {left_out} counted")
