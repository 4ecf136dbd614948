"""Our end of the serial line to a guest: commands there, their results back (guest_init.sh)."""

import dataclasses
import re
import select
import time

READY = re.compile(rb"kit ready (\S+)\n")
DONE = re.compile(rb"kit done (\d+) (\d+) (\d+) (\d+)\n")


class Silence(Exception):
    """The guest did not say in time what it should."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command in a guest came to."""

    returncode: int
    stdout: str
    stderr: str


class Line:
    """One socket, to one guest. `is_alive` tells whether anyone is left to wait for."""

    def __init__(self, end, is_alive):
        self._end = end
        self._is_alive = is_alive
        self._heard = b""
        self._number = 0

    def wait_ready(self, timeout):
        """Until the guest, which boots, takes commands; returns its kernel's version."""
        return self._wait(lambda: self._take(READY), timeout, "the guest does not boot")[1].decode()

    def send(self, command):
        """Has a line of shell run, without waiting for what comes of it."""
        if "\n" in command:
            raise ValueError("a command to a guest is one line")
        self._number += 1
        self._end.sendall(f"{self._number} {command}\n".encode())

    def run(self, command, timeout, meanwhile=None):
        """Runs a line of shell to its end; `meanwhile` is called now and then until that."""
        self.send(command)

        def take():
            if meanwhile:
                meanwhile()
            return self._take_result()

        return self._wait(take, timeout, f"still running in the guest: {command}")

    def close(self):
        self._end.close()

    def _take(self, pattern):
        found = pattern.search(self._heard)
        if found:
            self._heard = self._heard[found.end():]
        return found

    def _take_result(self):
        found = DONE.search(self._heard)
        if not found:
            return None
        number, status, out, err = map(int, found.groups())
        if len(self._heard) < found.end() + out + err:
            return None
        text = self._heard[found.end():found.end() + out + err]
        self._heard = self._heard[found.end() + out + err:]
        if number != self._number:
            return None  # Of a command that nobody waited for.
        return Result(status, text[:out].decode(errors="replace"),
                      text[out:].decode(errors="replace"))

    def _wait(self, take, timeout, what):
        deadline = time.monotonic() + timeout
        while not (taken := take()):
            if not self._is_alive():
                raise Silence(f"the guest has ended while it was waited for: {what}")
            if time.monotonic() > deadline:
                heard = self._heard[-200:].decode(errors="replace")
                raise Silence(f"after {timeout} s {what} (heard: {heard!r})")
            if select.select([self._end], [], [], 0.2)[0]:
                self._heard += self._end.recv(65536)
        return taken
