"""A resolver for the lab: answers every question for an IPv4 address at once.

    resolver.py PORT

UDP, both families. It knows no name: what is measured is the way to it and back.
"""

import socket
import sys

# RFC 1035, 4.1.3: the question's name, A, IN, 300 seconds, four bytes: 192.0.2.1.
ANSWER = bytes.fromhex("c00c 0001 0001 0000012c 0004 c0000201")


def answer(query):
    """The question comes back without its additional records (EDNS), with one answer."""
    end = 12
    while query[end]:
        end += query[end] + 1
    return query[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + query[12:end + 5] + ANSWER


def serve(port):
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    server.bind(("::", port))
    while True:
        query, source = server.recvfrom(4096)
        try:
            reply = answer(query)
        except IndexError:
            continue  # Not a question.
        server.sendto(reply, source)


serve(int(sys.argv[1]))
