"""Joins a guest that speaks packets to an engine that speaks a stream: for engines without bess.

    bridge.py LISTEN ENGINE

A packet of the UNIX SOCK_SEQPACKET socket LISTEN is a frame; on the UNIX stream to ENGINE each
frame follows its length, 32 bits in network order. One guest at a time: the newest.
"""

import os
import socket
import struct
import sys
import threading


def to_engine(guest, engine):
    while frame := guest.recv(1 << 17):
        engine.sendall(struct.pack("!I", len(frame)) + frame)


def to_guest(engine, guest):
    stream = engine.makefile("rb")
    while len(head := stream.read(4)) == 4:
        guest.send(stream.read(struct.unpack("!I", head)[0]))


def join(guest, engine_path):
    engine = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    engine.connect(engine_path)
    threading.Thread(target=to_guest, args=(engine, guest), daemon=True).start()
    try:
        to_engine(guest, engine)
    except OSError:
        pass
    engine.shutdown(socket.SHUT_RDWR)


def serve(path, engine_path):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    os.chmod(path, 0o666)
    listener.listen(1)
    joined = None
    while True:
        guest, _ = listener.accept()
        if joined:
            # User Mode Linux that reboots keeps the socket of before, and uses it no more.
            guest_before, worker = joined
            guest_before.shutdown(socket.SHUT_RDWR)
            worker.join()
        worker = threading.Thread(target=join, args=(guest, engine_path), daemon=True)
        worker.start()
        joined = guest, worker


serve(*sys.argv[1:])
