"""A resolver of the tests' own, on UDP and TCP port 53 of srv, which remembers what it was asked."""

import contextlib
import socket
import struct
import threading

A, CNAME, PTR, TXT, AAAA, SRV, SVCB, HTTPS = 1, 5, 12, 16, 28, 33, 64, 65
TRUNCATED, NXDOMAIN = 0x0200, 3
UDP_ROOM = 450


def wire_name(text):
    """RFC 1035, 3.1, without compression."""
    labels = [label for label in text.split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + bytes(1)


def address(text):
    """(type, data) of an address record."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return (AAAA if ":" in text else A), socket.inet_pton(family, text)


def record(owner, kind, data, ttl=300):
    return wire_name(owner) + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


class ZoneResolver:
    """Whoever makes one says what there is by records(name, kind): answer records as the function
    record() makes them, or None for a name that does not exist."""

    def __init__(self, t, records):
        self.questions = []  # (name, type, "udp" or "tcp"), as they came.
        self.released = threading.Event()  # Questions below slow.test wait for it.
        self._records = records
        self._udp = t.udp(53)
        self._udp.settimeout(None)
        threading.Thread(target=self._serve_udp, daemon=True).start()
        t.listen(53, self._serve_tcp)

    def names(self):
        return {question[0] for question in self.questions}

    def _serve_udp(self):
        while True:
            try:
                query, source = self._udp.recvfrom(4096)
            except OSError:
                return
            if b"\x04slow" in query:
                threading.Thread(target=self._answer_late, args=(query, source),
                                 daemon=True).start()
                continue
            self._udp.sendto(self.answer(query, "udp"), source)

    def _answer_late(self, query, source):
        self.released.wait(20)
        with contextlib.suppress(OSError):  # The test may have ended.
            self._udp.sendto(self.answer(query, "udp"), source)

    def _serve_tcp(self, connection):
        stream = connection.makefile("rb")
        while len(head := stream.read(2)) == 2:
            reply = self.answer(stream.read(struct.unpack(">H", head)[0]), "tcp")
            connection.sendall(struct.pack(">H", len(reply)) + reply)

    def answer(self, query, transport):
        """RFC 1035, 4.1."""
        identity = struct.unpack(">H", query[:2])[0]
        end, labels = 12, []
        while query[end]:
            labels.append(query[end + 1:end + 1 + query[end]].decode(errors="replace").lower())
            end += query[end] + 1
        name, kind = ".".join(labels), struct.unpack(">H", query[end + 1:end + 3])[0]
        self.questions.append((name, kind, transport))
        found = self._records(name, kind)
        flags = 0x8180 if found is not None else 0x8180 | NXDOMAIN
        body = b"".join(found or [])
        count = len(found or [])
        if transport == "udp" and len(body) > UDP_ROOM:
            flags, count, body = flags | TRUNCATED, 0, b""
        head = struct.pack(">6H", identity, flags, 1, count, 0, 0)
        return head + query[12:end + 5] + body
