"""Servers that do not read slow nobody but their own connections."""

import socket
import threading

from harness import ANY, Server, check, each_family, socket_in

UPLOAD = """
import select, struct
def upload():
    s = connect(args[0], args[1]); start = time.monotonic()
    for _ in range(int(args[3])):
        s.sendall(bytes(1 << 20))
    s.shutdown(socket.SHUT_WR)
    read_all(s)
    return time.monotonic() - start
def best(): return min(upload() for _ in range(3))
alone = best()
stuck = []
for _ in range(int(args[4])):
    s = connect(args[0], args[2]); s.setblocking(False); stuck.append(s)
full, quiet = bytes(1 << 18), 0
while quiet < 5:
    quiet += 1
    for s in stuck:
        try:
            if s.send(full): quiet = 0
        except BlockingIOError:
            pass
    time.sleep(0.2)
beside = best()
print(alone, beside)
# A close would have the command's end wait for servers that may yet read.
for s in stuck:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); s.close()
"""


def drain(connection):
    while connection.recv(1 << 20):
        pass


@each_family
def test_servers_that_do_not_read_slow_nobody_else(t):
    count, mebibytes = 400, 16 if t.fast else 64
    t.listen(7000, drain)
    listener = socket_in(t.net.srv, t.family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    listener.bind((ANY[t.family], 7001))
    listener.listen(1024)
    over = threading.Event()
    server = Server(listener, lambda connection: over.wait(120))
    try:
        out = t.python(UPLOAD, t.srv, 7000, 7001, mebibytes, count, options=["--fast-path=off"],
                       timeout=120)
    finally:
        over.set()
        server.close()
    alone, beside = map(float, out.split())
    check(beside < 2 * alone + 0.05,
          f"{mebibytes} MiB take {alone:.3f} s alone and {beside:.3f} s beside {count} that stand")
