"""Byte streams that can be checked at any offset, and transfers of them."""

import os
import random
import selectors
import socket
import threading
import time

from forwarding import Failure, check

CHUNK = 1 << 18
PERIOD = 65521  # A prime, so that no buffer's size divides it.
_TABLE = random.Random(4).randbytes(PERIOD)
_LONG = memoryview(_TABLE * (CHUNK // PERIOD + 3))


class Pattern:
    """The stream of a seed. Any two bytes that are swapped, lost or repeated show."""

    def __init__(self, seed):
        self._shift = seed * 7919 % PERIOD

    def at(self, offset, size):
        start = (offset + self._shift) % PERIOD
        return _LONG[start:start + size]


def send_pattern(connection, size, seed, pause=0.0, chunk=CHUNK):
    pattern = Pattern(seed)
    sent = 0
    while sent < size:
        piece = pattern.at(sent, min(chunk, size - sent))
        connection.sendall(piece)
        sent += len(piece)
        if pause:
            time.sleep(pause)


def check_pattern(connection, size, seed, pause=0.0, chunk=CHUNK):
    """Reads `size` bytes, then the end."""
    pattern = Pattern(seed)
    got = 0
    while data := connection.recv(chunk):
        check(data == pattern.at(got, len(data)), f"byte {got} or one behind it is wrong")
        got += len(data)
        if pause:
            time.sleep(pause)
    check(got == size, f"{got} of {size} bytes arrived")
    return got


def exchange(connection, size_out, seed_out, size_in, seed_in):
    """Both directions at once; ends ours when it is written."""
    failed = []

    def send():
        try:
            send_pattern(connection, size_out, seed_out)
            connection.shutdown(socket.SHUT_WR)
        except OSError as error:
            failed.append(error)

    sender = threading.Thread(target=send)
    sender.start()
    check_pattern(connection, size_in, seed_in)
    sender.join()
    if failed:
        raise Failure(f"sending failed: {failed[0]}")


def peer_of_exchange(size_in, seed_in, size_out, seed_out):
    """A server's handler: the other end. Returns "ok" or what was wrong."""

    def handler(connection):
        try:
            exchange(connection, size_out, seed_out, size_in, seed_in)
            return "ok"
        except Failure as failure:
            return str(failure)

    return handler


class EchoLoad:
    """Connections that send a pattern to an echo server and compare what comes back, in a thread.

    Each has at most `window` bytes on the way, and sends until stop() is called; then it sends
    its FIN, reads the rest and must see the end. A reset or a wrong byte is a mistake.
    """

    def __init__(self, connections, window=16384, chunk=4096):
        self.mistakes = []
        self.bytes = 0
        self._window = window
        self._chunk = chunk
        self._stopping = False
        self._selector = selectors.DefaultSelector()
        self._open = len(connections)
        for seed, connection in enumerate(connections):
            connection.setblocking(False)
            state = {"pattern": Pattern(seed), "sent": 0, "got": 0, "ended": False, "seed": seed}
            self._selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE, state)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while self._open:
            for key, events in self._selector.select(0.2):
                try:
                    self._turn(key.fileobj, key.data, events)
                except BlockingIOError:
                    pass
                except (OSError, Failure) as error:
                    self._mistake(key, error)

    def _mistake(self, key, error):
        state = key.data
        self.mistakes.append(f"stream {state['seed']}: {error} (sent {state['sent']}, "
                             f"got {state['got']})")
        self._finish(key.fileobj)

    def _finish(self, connection):
        self._selector.unregister(connection)
        connection.close()
        self._open -= 1

    def _turn(self, connection, state, events):
        if events & selectors.EVENT_READ:
            self._read(connection, state)
            if connection.fileno() < 0:
                return
        room = self._window - (state["sent"] - state["got"])
        if state["ended"]:
            return
        if self._stopping:
            connection.shutdown(socket.SHUT_WR)
            state["ended"] = True
            self._selector.modify(connection, selectors.EVENT_READ, state)
        elif room > 0:
            piece = state["pattern"].at(state["sent"], min(room, self._chunk))
            state["sent"] += connection.send(piece)
        elif events & selectors.EVENT_WRITE:
            self._selector.modify(connection, selectors.EVENT_READ, state)

    def _read(self, connection, state):
        data = connection.recv(65536)
        if not data:
            check(state["ended"] and state["got"] == state["sent"], "ended early")
            self._finish(connection)
            return
        check(data == state["pattern"].at(state["got"], len(data)), "wrong bytes")
        state["got"] += len(data)
        self.bytes += len(data)
        if not state["ended"]:
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.modify(connection, both, state)

    def stop(self, timeout=20):
        """Ends all streams; raises if one was not as it should be."""
        self._stopping = True
        self._thread.join(timeout)
        some = self.mistakes[:3]
        check(not some, f"{len(self.mistakes)} streams failed, such as {some}")
        check(self._open == 0, f"{self._open} streams do not end")


def echo_in_process(listener):
    """Serves a listener by epoll in a process of its own; returns its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        _echo_forever(listener)
    finally:
        os._exit(0)


def _echo_forever(listener):
    selector = selectors.DefaultSelector()
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, events in selector.select():
            if key.fileobj is listener:
                try:
                    while True:
                        accepted, _ = listener.accept()
                        accepted.setblocking(False)
                        state = {"queue": bytearray(), "ended": False}
                        selector.register(accepted, selectors.EVENT_READ, state)
                except OSError:
                    continue
            else:
                _echo_turn(selector, key.fileobj, key.data, events)


def _echo_turn(selector, connection, state, events):
    try:
        if events & selectors.EVENT_READ and not state["ended"] and len(state["queue"]) < 65536:
            data = connection.recv(65536)
            state["ended"] = not data
            state["queue"] += data
        if state["queue"]:
            del state["queue"][:connection.send(state["queue"])]
    except BlockingIOError:
        pass
    except OSError:
        selector.unregister(connection)
        connection.close()
        return
    if state["ended"] and not state["queue"]:
        selector.unregister(connection)
        connection.close()
        return
    full = len(state["queue"]) >= 65536
    wanted = 0 if state["ended"] or full else selectors.EVENT_READ
    selector.modify(connection, wanted | (selectors.EVENT_WRITE if state["queue"] else 0), state)
