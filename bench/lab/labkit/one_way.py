"""One-way delay of single small packets on an open TCP connection.

    one_way.py send PORT COUNT          in srv: sends the clock's value, COUNT times
    one_way.py receive HOST PORT        in the guest: prints the delays in ns as JSON

All namespaces share one CLOCK_MONOTONIC, so the receiver subtracts what the packet says from its
own time. The gaps are random: an engine that polls at some interval must not be in step.
"""

import json
import random
import socket
import struct
import sys
import time

STAMP = struct.Struct("=Q")
GAP_S = (0.0005, 0.002)


def send(port, count):
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    listener = socket.create_server(("", port), family=family,
                                    dualstack_ipv6=family == socket.AF_INET6)
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for _ in range(count):
        time.sleep(random.uniform(*GAP_S))
        connection.sendall(STAMP.pack(time.monotonic_ns()))
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)


def receive(host, port):
    connection = socket.create_connection((host, port))
    delays = []
    while True:
        packet = connection.recv(4096)
        now = time.monotonic_ns()
        if not packet:
            break
        # A stall may bring several at once; each waited from its own sending.
        for (sent,) in STAMP.iter_unpack(packet):
            delays.append(now - sent)
    print(json.dumps(delays))


if sys.argv[1] == "send":
    send(int(sys.argv[2]), int(sys.argv[3]))
else:
    receive(sys.argv[2], int(sys.argv[3]))
