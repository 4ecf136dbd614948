"""Datagrams with forged sources at a UDP rule: what other rules and other clients notice of them."""

import collections
import multiprocessing
import os
import socket
import struct
import time

from forwarding import check, echo, read_exactly, test, wait_until, within
from harness import alone

RATE = 20_000  # Forged datagrams a second.
SECONDS = 10


def flood(port, seconds, sent):
    """Datagrams to `port`, each from another address of 127/8."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    started, number = time.monotonic(), 0
    while (now := time.monotonic()) < started + seconds:
        due = int((now - started) * RATE)
        if number >= due:
            time.sleep(0.0005)
            continue
        for _ in range(min(due - number, 40)):
            number += 1
            source = socket.inet_aton(f"127.{1 + (number >> 16) % 200}.{(number >> 8) & 255}."
                                      f"{number & 255}")
            info = struct.pack("=i4s4s", 0, source, bytes(4))
            sender.sendmsg([b"forged"], [(socket.IPPROTO_IP, 8, info)], 0, ("127.0.0.1", port))
    sent.value = number


def round_trips(t, port, seconds):
    """Of a connection that goes on, with a new one now and then: how long each took."""
    taken = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with t.connect(port) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(50):
                started = time.monotonic()
                client.sendall(b"question")
                read_exactly(client, 8)
                taken.append(time.monotonic() - started)
                time.sleep(0.0005)
    return taken


def p99(taken):
    return sorted(taken)[len(taken) * 99 // 100] * 1000


def flooded(t, target, descriptors=2048, p99_max=60):
    """A UDP rule to `target` is flooded while a TCP client and a UDP client of others go on."""
    server = t.serve(echo)
    answering = t.udp()
    child = multiprocessing.Process(target=answer_for_ever, args=(answering,), daemon=True)
    child.start()
    t.on_close(child.kill)
    udp, tcp, other = t.port(), t.port(), t.port()
    if target is None:
        target = f"udp://127.0.0.1:{answering.getsockname()[1]}"
    forwarder = t.start(
        ["prlimit", f"--nofile={descriptors}:{descriptors}", t.options.sluice, "forward",
         f"udp://127.0.0.1:{udp}", target, f"127.0.0.1:{tcp}", f"127.0.0.1:{server.port}",
         f"udp://127.0.0.1:{other}", f"udp://127.0.0.1:{answering.getsockname()[1]}"],
        [f"tcp:{tcp}", f"udp:{udp}", f"udp:{other}"])
    talker = t.udp_client(other)
    ask_by_udp(talker, 3)
    quiet = p99(round_trips(t, tcp, 3))
    sent = multiprocessing.Value("q", 0)
    sender = multiprocessing.Process(target=flood, args=(udp, SECONDS, sent), daemon=True)
    sender.start()
    t.on_close(sender.kill)
    taken = round_trips(t, tcp, SECONDS - 1)  # A failure raises.
    asked = ask_by_udp(talker, 20)
    sender.join()
    loaded = p99(taken)
    report = (f"{sent.value / SECONDS:.0f} forged datagrams/s, {len(taken)} round trips by TCP: "
              f"p99 {quiet:.2f} ms before, {loaded:.2f} ms during; {asked} of 20 by UDP; "
              f"{forwarder.descriptors()} descriptors")
    if os.environ.get("SHOW_FIGURES"):
        print(report, flush=True)
    check(sent.value > SECONDS * RATE / 4, f"the flood was none: {report}")
    check(asked >= 18, report)
    # A machine that is busy otherwise is given room: without bounds it is seconds, or a failure.
    check(loaded <= max(3 * quiet, p99_max), report)
    check(forwarder.descriptors() < descriptors * 3 // 4, report)
    # And when it is over a new client of the flooded rule is served.
    if "127.0.0.1" in target and target.startswith("udp"):
        wait_until(lambda: ask_by_udp(t.udp_client(udp, timeout=1), 1) == 1, "no new client", 10)


def answer_for_ever(answering):
    answering.settimeout(None)
    while True:
        data, client = answering.recvfrom(2048)
        if data != b"forged":
            answering.sendto(data, client)


def take_for_ever(listening):
    kept = collections.deque(maxlen=4000)
    while True:
        kept.append(listening.accept()[0])


def ask_by_udp(client, count):
    """How many of `count` questions were answered."""
    answered = 0
    for number in range(count):
        client.send(b"q%d" % number)
        try:
            answered += client.recv(100) == b"q%d" % number
        except TimeoutError:
            pass
    return answered


@test()
@alone
@within(60)
def forged_datagrams_leave_other_rules_alone(t):
    flooded(t, None)


@test()
@alone
@within(60)
def forged_datagrams_to_a_tcp_target_leave_other_rules_alone(t):
    """Each forged client is a connection to the target."""
    listening = t.listener(backlog=4096)
    child = multiprocessing.Process(target=take_for_ever, args=(listening,), daemon=True)
    child.start()
    t.on_close(child.kill)
    # The target's own work on as many connections counts, too.
    flooded(t, f"127.0.0.1:{listening.getsockname()[1]}", p99_max=200)
