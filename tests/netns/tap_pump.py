#!/usr/bin/python3
"""Stands for a machine's monitor: carries frames between a tap and a socket, both ways.

    tap_pump.py KIND PATH|fd:N INTERFACE [--mtu N] [--bind PATH] [--hello] [--chop]

KIND is stream, seqpacket or datagram. The tap is made where it is not there yet, without virtio-net
headers, and stays: whoever gives it addresses is the guest. Ends when the socket does.
"""

import argparse
import contextlib
import fcntl
import os
import random
import select
import socket
import struct
import subprocess

TUNSETIFF, TUNSETPERSIST = 0x400454CA, 0x400454CB
IFF_TAP, IFF_NO_PI = 2, 0x1000
KINDS = {"stream": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET,
         "datagram": socket.SOCK_DGRAM}
FRAME_MAX = 68 * 1024
MAC = "52:54:00:12:34:56"


def open_tap(name, mtu):
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    fcntl.ioctl(tap, TUNSETPERSIST, 1)
    words = f"ip link set {name} address {MAC} mtu {mtu} txqueuelen 5000 up"
    subprocess.run(words.split(), check=True)
    return tap


def read_frames(tap, most=64):
    frames = []
    with contextlib.suppress(BlockingIOError):
        while len(frames) < most:
            frames.append(os.read(tap, FRAME_MAX))
    return frames


class Stream:
    """Each frame has its length before it."""

    def __init__(self, link, chop):
        self._link, self._rest, self._chop = link, b"", chop

    def send(self, frames):
        data = b"".join(struct.pack("!I", len(frame)) + frame for frame in frames)
        while self._chop and len(data) > 1:
            piece = random.randrange(1, min(len(data), 4000))
            self._link.sendall(data[:piece])
            data = data[piece:]
        self._link.sendall(data)

    def receive(self):
        data = self._link.recv(random.randrange(1, 4000) if self._chop else 1 << 20)
        if not data:
            raise SystemExit(0)
        data, at, frames = self._rest + data, 0, []
        while len(data) - at >= 4:
            length = struct.unpack_from("!I", data, at)[0]
            if len(data) - at - 4 < length:
                break
            frames.append(data[at + 4:at + 4 + length])
            at += 4 + length
        self._rest = data[at:]
        return frames


class Packets:
    """Each frame is a packet."""

    def __init__(self, link):
        self._link = link

    def send(self, frames):
        for frame in frames:
            self._link.send(frame)

    def receive(self):
        frame = self._link.recv(FRAME_MAX)
        if not frame:
            raise SystemExit(0)
        return [frame]


def open_link(options):
    if options.path.startswith("fd:"):
        return socket.socket(fileno=int(options.path[3:]))
    link = socket.socket(socket.AF_UNIX, KINDS[options.kind])
    if options.bind:
        link.bind(options.bind)
        os.chmod(options.bind, 0o666)
    link.connect(options.path)
    if options.hello:
        link.send(b"VFKT")
    return link


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("path")
    parser.add_argument("interface")
    parser.add_argument("--mtu", type=int, default=1500)
    parser.add_argument("--bind")
    parser.add_argument("--hello", action="store_true")
    parser.add_argument("--chop", action="store_true")
    options = parser.parse_args()
    link = open_link(options)
    tap = open_tap(options.interface, options.mtu)
    end = Stream(link, options.chop) if options.kind == "stream" else Packets(link)
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([tap, link], [], [])
        if link in readable:
            for frame in end.receive():
                with contextlib.suppress(OSError):
                    os.write(tap, frame)
        if tap in readable:
            end.send(read_frames(tap))


if __name__ == "__main__":
    main()
