"""A resolver for the lab: answers every question for an address at once.

    resolver.py PORT [NAME IPV4 IPV6]

UDP, both families. It knows one name at most, with its two addresses; all others lead to 192.0.2.1,
whatever was asked for, as what is measured is the way to it and back.
"""

import socket
import sys

# RFC 1035, 4.1.3: the question's name, A or AAAA, IN, 300 seconds, the length of the address.
A, AAAA = b"\0\x01", b"\0\x1c"
HEADS = {A: bytes.fromhex("c00c 0001 0001 0000012c 0004"),
         AAAA: bytes.fromhex("c00c 001c 0001 0000012c 0010")}
ANSWER = HEADS[A] + socket.inet_aton("192.0.2.1")


def records(name, v4, v6):
    """{what is asked, on the wire: the answer to it}"""
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split(".")) + b"\0"
    return {labels + A: HEADS[A] + socket.inet_aton(v4),
            labels + AAAA: HEADS[AAAA] + socket.inet_pton(socket.AF_INET6, v6)}


def answer(query, known):
    """The question comes back without its additional records (EDNS), with one answer."""
    end = 12
    while query[end]:
        end += query[end] + 1
    return (query[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + query[12:end + 5] +
            known.get(query[12:end + 3].lower(), ANSWER))


def serve(port, known):
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    server.bind(("::", port))
    while True:
        query, source = server.recvfrom(4096)
        try:
            reply = answer(query, known)
        except IndexError:
            continue  # Not a question.
        server.sendto(reply, source)


serve(int(sys.argv[1]), records(*sys.argv[2:]) if sys.argv[2:] else {})
