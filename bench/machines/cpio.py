"""An archive of the kind that Linux unpacks as its first file system: "newc" cpio.

Format: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel's sources.
"""

import os
import stat

TRAILER = "TRAILER!!!"


class Archive:
    """Collects entries; bytes() is the archive. Paths have no leading slash."""

    def __init__(self):
        self._parts = []
        self._folders = set()
        self._count = 0

    def folder(self, path):
        """A folder and those above it, each once."""
        if not path or path in self._folders:
            return
        self.folder(os.path.dirname(path))
        self._folders.add(path)
        self._add(path, stat.S_IFDIR | 0o755, b"")

    def file(self, path, content, mode=0o755):
        self.folder(os.path.dirname(path))
        self._add(path, stat.S_IFREG | mode, content)

    def link(self, path, target):
        self.folder(os.path.dirname(path))
        self._add(path, stat.S_IFLNK | 0o777, target.encode())

    def bytes(self):
        return b"".join([*self._parts, self._entry(TRAILER, 0, b"")])

    def _add(self, path, mode, content):
        self._count += 1
        self._parts.append(self._entry(path, mode, content))

    def _entry(self, path, mode, content):
        name = path.encode() + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        # Number, mode, owner, group, links, time, size, device and its kind twice, name, checksum.
        numbers = (self._count, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(name), 0)
        head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name
        return _padded(head) + _padded(content)


def _padded(data):
    return data + b"\0" * (-len(data) % 4)
