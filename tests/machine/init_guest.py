"""A guest whose /init is sluice's, under QEMU instead of sluice's own machine: its three console
ports are sockets of ours, and we speak the host's part of the control messages
(src/box/guest/control_message.h)."""

import contextlib
import os
import pathlib
import re
import selectors
import shutil
import socket
import struct
import subprocess
import time

from labkit import processes
from machines import cpio
from machines import kit as kits

QEMU = "qemu-system-x86_64"
VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
# What box/image chooses, and QEMU's way to its devices.
MODULES = ("virtio_pci", "virtio_console", "virtio_net", "virtiofs", "overlay", "virtio_rng",
           "af_packet")
# An emulated machine with nothing else to do is up in five seconds; under load, in a minute.
SECONDS = 240
MEMORY = "512M"

INPUT_END, OUTPUT_CLOSED, SIGNAL, WINDOW, POWER_OFF = range(2, 7)


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<I", len(data)) + data


def items(values, one):
    return struct.pack("<I", len(values)) + b"".join(map(one, values))


def address(value):
    family = socket.AF_INET6 if ":" in value else socket.AF_INET
    octets = socket.inet_pton(family, value)
    return octets if len(octets) == 16 else b"\0" * 10 + b"\xff\xff" + octets


def message(kind, payload=b""):
    return struct.pack("<IB", len(payload) + 1, kind) + payload


def setup_message(command, *, environment=("PATH=/usr/bin:/bin",), directory="/",
                  directory_required=False, uid=0, gid=0, groups=(), window=None,
                  error_in_terminal=False, umask=0o022, descriptors=0, clock=0, host_name="", addresses=(), gateways=(), mtu=1500, interface="eth0",
                  files=(), shares=()):
    """kSetup, field by field as the C++ has it."""
    network = (text(interface)
               + items(addresses, lambda item: address(item[0]) + struct.pack("<B", item[1]))
               + items(gateways, address) + struct.pack("<IH", mtu, 1))
    return message(1, b"".join([
        items(command, text), items(environment, text), text(directory),
        struct.pack("<B", directory_required),
        struct.pack("<II", uid, gid), items(groups, lambda group: struct.pack("<I", group)),
        b"\1" + struct.pack("<HH", *window) if window else b"\0",
        struct.pack("<BIQQQ", error_in_terminal, umask, descriptors, 0, clock), text(host_name),
        network, items(files, lambda file: text(file[0]) + text(file[1])),
        items(shares, lambda share: text(share[0]) + text(share[1]) + bytes([share[2]]))]))


class Heard:
    """A message of the guest's."""

    NAMES = {65: "stage", 66: "started", 67: "stopped", 68: "output end", 69: "warned",
             70: "failed", 71: "exited"}

    def __init__(self, kind, payload):
        self.name = self.NAMES[kind]
        self.words, self.numbers = [], []
        shape = {"stage": "tQ", "started": "", "stopped": "B", "output end": "BQ", "warned": "tit",
                 "failed": "Btit", "exited": "BQQ"}[self.name]
        for field in shape:
            if field == "t":
                size, = struct.unpack_from("<I", payload)
                self.words.append(payload[4:4 + size].decode())
                payload = payload[4 + size:]
            else:
                self.numbers += struct.unpack_from(f"<{field}", payload)
                payload = payload[struct.calcsize(f"<{field}"):]
        assert not payload, f"{self.name} has {len(payload)} bytes more"

    def __repr__(self):
        return f"{self.name}{self.words}{self.numbers}"


class InitGuest:
    """Boots at once; run() is one command, which is all that such a machine does."""

    def __init__(self, init, folder, shares=()):
        """`shares`: folders that the guest can mount as share0, share1, ..."""
        self.folder = pathlib.Path(folder)
        self.messages, self.output, self.errors = [], bytearray(), bytearray()
        self._children, self._heard = [], bytearray()
        self._selector = selectors.DefaultSelector()
        self._to_send = {}
        try:
            self._boot(init, shares)
        except BaseException:
            self.close()
            raise

    @staticmethod
    def check_present(init):
        for program, package in ((QEMU, "qemu-system-x86"), (VIRTIOFSD, "qemu-system-common")):
            if not shutil.which(program):
                raise kits.Missing(f"no {program} (package {package})")
        if not os.access(init, os.X_OK):
            raise kits.Missing(f"no {init} (ninja sluice-box-init)")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for child in reversed(self._children):
            processes.kill_now(child)
        for name in ("_control", "_stream", "_error"):
            if hasattr(self, name):
                getattr(self, name).close()
        self._selector.close()

    def console(self):
        with contextlib.suppress(OSError):
            return (self.folder / "console").read_text(errors="replace")[-3000:]
        return ""

    def say(self, data):
        self._send(self._control, data)

    def type(self, data):
        self._send(self._stream, data)

    def until(self, condition, what):
        """Serves the ports until condition() holds, and returns what it gave."""
        deadline = time.monotonic() + SECONDS
        while not (value := condition()):
            assert time.monotonic() < deadline, self._state(f"timed out: {what}")
            assert self._children[-1].poll() is None, self._state(f"ended before {what}")
            for key, events in self._selector.select(1):
                if events & selectors.EVENT_WRITE:
                    self._push(key.fileobj)
                if events & selectors.EVENT_READ:
                    self._pull(key.fileobj)
        return value

    def first(self, name):
        return next((heard for heard in self.messages if heard.name == name), None)

    def hear(self, name):
        return self.until(lambda: self.first(name), f"the guest's '{name}'")

    def finish(self):
        """Waits for the command's end and for all that it wrote; then the machine goes off."""
        exited = self.hear("exited")
        status, stream, error = exited.numbers
        self.until(lambda: len(self.output) >= stream and len(self.errors) >= error, "all outputs")
        assert (len(self.output), len(self.errors)) == (stream, error), self._state("too much")
        self.say(message(POWER_OFF))
        with contextlib.suppress(AssertionError):  # It goes off, which is no failure here.
            self.until(lambda: False, "power off")
        assert self.wait() == 0, self._state("QEMU failed")
        return status

    def hang_up(self):
        """The host closes its end of the control port."""
        self._selector.unregister(self._control)
        self._control.close()

    def wait(self):
        """The machine's end."""
        return self._children[-1].wait(SECONDS)

    def run(self, setup, data=b""):
        """A command from its start to the machine's end: its status."""
        self.say(setup)
        self.say(message(INPUT_END, struct.pack("<Q", len(data))))
        self.type(data)
        return self.finish()

    def _boot(self, init, shares):
        kernel = kits.cloud_kernel()
        if kernel is None:
            raise kits.Missing(f"no kernel (package {kits.CLOUD})")
        image = self.folder / "image"
        image.write_bytes(_image(init, kernel / "modules"))
        command = [QEMU, "-M", "pc", "-accel", "tcg", "-m", MEMORY, "-nodefaults", "-no-reboot",
                   "-display", "none", "-serial", f"file:{self.folder}/console",
                   "-object", f"memory-backend-memfd,id=m,size={MEMORY},share=on",
                   "-numa", "node,memdev=m", "-kernel", kernel / "vmlinuz", "-initrd", image,
                   # The kernel would not boot where a busy machine keeps its timer back.
                   "-append", "console=ttyS0 quiet panic=-1 reboot=t no_timer_check",
                   "-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n,vectors=0",
                   "-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]
        for tag, source in (("root", "/"), *((f"share{i}", s) for i, s in enumerate(shares))):
            command += self._share(tag, source)
        listeners = {}
        for number, name in enumerate(("control", "stream", "error"), 1):
            path = str(self.folder / name)
            listeners[name] = socket.socket(socket.AF_UNIX)
            listeners[name].bind(path)
            listeners[name].listen()
            command += ["-chardev", f"socket,id={name},path={path}", "-device",
                        f"virtserialport,chardev={name},name=sluice.{name},nr={number}"]
        with open(self.folder / "qemu", "wb") as log:
            self._children.append(subprocess.Popen(command, stdout=log, stderr=log))
        for name, listener in listeners.items():
            with listener:
                listener.settimeout(SECONDS)
                port = listener.accept()[0]
            port.setblocking(False)
            setattr(self, f"_{name}", port)
            self._to_send[port] = bytearray()
            self._selector.register(port, selectors.EVENT_READ)

    def _share(self, tag, source):
        path = self.folder / f"fs.{tag}"
        with socket.socket(socket.AF_UNIX) as listener, open(self.folder / tag, "wb") as log:
            listener.bind(str(path))
            listener.listen(1)
            self._children.append(subprocess.Popen(
                [VIRTIOFSD, f"--fd={listener.fileno()}", "-o", f"source={source}",
                 "-o", "sandbox=chroot", "-o", "cache=auto"],
                pass_fds=[listener.fileno()], stdout=log, stderr=log))
        # With MSI-X QEMU 7.2 crashes here, whoever the back-end is.
        return ["-chardev", f"socket,id={tag},path={path}", "-device",
                f"vhost-user-fs-pci,chardev={tag},tag={tag},vectors=0"]

    def _send(self, port, data):
        self._to_send[port] += data
        self._push(port)

    def _push(self, port):
        waiting = self._to_send[port]
        with contextlib.suppress(BlockingIOError):
            while waiting:
                del waiting[:port.send(waiting[:65536])]
        self._selector.modify(port, selectors.EVENT_READ
                              | (selectors.EVENT_WRITE if waiting else 0))

    def _pull(self, port):
        try:
            data = port.recv(1 << 20)
        except ConnectionError:
            data = b""
        if not data:
            self._selector.unregister(port)
            self._to_send[port] = bytearray()
        elif port is self._stream:
            self.output += data
        elif port is self._error:
            self.errors += data
        else:
            self._heard += data
            while len(self._heard) >= 4:
                size, = struct.unpack_from("<I", self._heard)
                if len(self._heard) < 4 + size:
                    break
                self.messages.append(Heard(self._heard[4], bytes(self._heard[5:4 + size])))
                del self._heard[:4 + size]

    def _state(self, what):
        return (f"{what}; heard {self.messages}; output {bytes(self.output[-500:])}; errors "
                f"{bytes(self.errors[-500:])}; console {self.console()}; "
                f"{(self.folder / 'qemu').read_text(errors='replace')[-500:]}")


def _image(init, tree):
    archive = cpio.Archive()
    archive.file("init", pathlib.Path(init).read_bytes())
    paths = {path.stem.replace("-", "_"): path for path in tree.rglob("*.ko")}
    order = []

    def add(name):
        if name not in paths or paths[name].name in order:
            return
        content = paths[name].read_bytes()
        said = re.search(rb"\0depends=([^\0]*)\0", content)
        for needed in said[1].decode().split(",") if said else ():
            add(needed.replace("-", "_"))
        archive.file(f"modules/{paths[name].name}", content, 0o644)
        order.append(paths[name].name)

    for name in MODULES:
        add(name)
    archive.file("modules/order", "".join(f"{name}\n" for name in order).encode(), 0o644)
    return archive.bytes()
