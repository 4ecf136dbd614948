"""How a guest is joined to its engine: the words for QEMU and for User Mode Linux."""

import os

MAC = "52:54:00:12:34:56"


class Link:
    """One network interface. A subclass has qemu(), uml() or both."""

    name = ""

    def qemu(self, memory):
        """QEMU's words; `memory` is the guest's, in MiB."""
        raise NotImplementedError(f"QEMU has no {self.name}")

    def uml(self):
        raise NotImplementedError(f"User Mode Linux has no {self.name}")

    def descriptors(self):
        """Those that the guest's program inherits."""
        return ()

    def started(self):
        """The guest's program has what it inherits."""


def _card(more=""):
    # No boot ROM: it would try the network first.
    return ["-device", f"virtio-net-pci,netdev=net,mac={MAC},romfile={more}"]


class Slirp(Link):
    """libslirp, which is in QEMU's own process: no engine."""

    name = "slirp"

    def __init__(self, options=""):
        self._options = options

    def qemu(self, memory):
        network = "net=10.0.2.0/24,ipv6-prefix=fd00::"
        return ["-netdev", f"user,id=net,{network}{self._options}", *_card()]


class Stream(Link):
    """A UNIX stream socket at which the engine listens: each frame after its length."""

    name = "stream"

    def __init__(self, path):
        self.path = path

    def qemu(self, memory):
        return ["-netdev", f"stream,id=net,server=off,addr.type=unix,addr.path={self.path}",
                *_card()]


class Datagram(Link):
    """A UNIX datagram socket of the engine's, one frame a datagram."""

    name = "datagram"

    def __init__(self, path, own_path):
        self.path = path
        self._own = own_path

    def qemu(self, memory):
        return ["-netdev", f"dgram,id=net,local.type=unix,local.path={self._own},"
                f"remote.type=unix,remote.path={self.path}", *_card()]


class Descriptor(Link):
    """A connected socket that the engine has the other end of: frames as by Stream."""

    name = "descriptor"

    def __init__(self, descriptor):
        self._descriptor = descriptor

    def qemu(self, memory):
        return ["-netdev", f"socket,id=net,fd={self._descriptor}", *_card()]

    def descriptors(self):
        return (self._descriptor,)

    def started(self):
        os.close(self._descriptor)


class VhostUser(Link):
    """Rings in the guest's memory, which the engine, who listens at the socket, maps."""

    name = "vhost-user"

    def __init__(self, path, queues=1):
        self.path = path
        self._queues = queues

    def qemu(self, memory, msix=False):
        card = ("" if msix else ",vectors=0") + (",mq=on" if self._queues > 1 else "")
        return ["-object", f"memory-backend-memfd,id=memory,size={memory}M,share=on",
                "-machine", "memory-backend=memory",
                "-chardev", f"socket,id=engine,path={self.path},reconnect=1",
                "-netdev", f"vhost-user,id=net,chardev=engine,queues={self._queues}",
                *_card(card)]

    def uml(self):
        return [f"virtio_uml.device={self.path}:1"]


class Bess(Link):
    """A UNIX socket of packets at which the engine listens, one frame a packet."""

    name = "bess"

    def __init__(self, path):
        self.path = path

    def uml(self):
        return [f"vec0:transport=bess,dst={self.path},mac={MAC}"]


class Own(Link):
    """The network of `sluice box`, which is engine and machine in one.

    `without`: bindings of KVM that it is kept from, as bench/box/kvm_without.cc names them.
    """

    name = "own"

    def __init__(self, path, options, without=""):
        self._words = [path, "box", *options]
        self._without = without

    def box(self):
        return self._words

    def environment(self, clients):
        """What its process needs; `clients` is the folder of the lab's programs."""
        if not self._without:
            return {}
        return {"LD_PRELOAD": os.path.join(clients, "libkvm_without.so"),
                "KVM_WITHOUT": self._without}
