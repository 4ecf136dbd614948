"""How much an engine allocates: it is started with malloc_count.cc before libc."""

import contextlib
import os
import shlex
import struct
import tempfile

from labkit import processes

LIBRARY = "libmalloc_count.so"
# As malloc_count.cc lays them out.
NAMES = ("programs", "allocations", "reallocations", "frees", "bytes")
FORMAT = f"={len(NAMES)}Q"


class Preload:
    """A program to start in an engine's place: the engine, with the counters mapped."""

    def __init__(self, library, program):
        # Engines run as nobody: they must reach all of it.
        self._folder = tempfile.TemporaryDirectory(prefix="sluice-profile-")
        os.chmod(self._folder.name, 0o755)
        self._counters = os.path.join(self._folder.name, "counters")
        with open(self._counters, "wb") as file:
            file.write(bytes(struct.calcsize(FORMAT)))
        os.chmod(self._counters, 0o666)
        copy = os.path.join(self._folder.name, LIBRARY)
        with open(library, "rb") as source, open(copy, "wb") as target:
            target.write(source.read())
        os.chmod(copy, 0o755)
        self.path = os.path.join(self._folder.name, os.path.basename(program))
        words = [f"LD_PRELOAD={copy}", f"MALLOC_COUNT_FILE={self._counters}",
                 f"MALLOC_COUNT_PROGRAM={os.path.basename(program)}"]
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(f'#!/bin/sh\nexec env {shlex.join(words)} {shlex.quote(program)} "$@"\n')
        os.chmod(self.path, 0o755)

    def close(self):
        self._folder.cleanup()

    def read(self):
        with open(self._counters, "rb") as file:
            return dict(zip(NAMES, struct.unpack(FORMAT, file.read())))

    @contextlib.contextmanager
    def counted(self):
        """Yields a dict that holds, after the block, what was counted in it."""
        found = {}
        before = self.read()
        if not before["programs"]:
            raise processes.LabError("allocations cannot be counted: the engine is linked "
                                     "statically, or does not let LD_PRELOAD through")
        yield found
        after = self.read()
        found.update({name: after[name] - before[name] for name in NAMES[1:]})
