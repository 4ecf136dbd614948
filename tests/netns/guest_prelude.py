"""What guest code starts with: short names, and a connect that says how it failed and how fast."""

GUEST_PRELUDE = '''
import errno, hashlib, os, signal, socket, struct, sys, time
args = sys.argv[1:]

def connect(address, port, timeout=20):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM)
    s.settimeout(timeout)
    s.connect((address, int(port)))
    return s

def outcome(address, port, timeout=5):
    """'ok', 'timeout' or the errno's name; and the seconds it took."""
    started = time.monotonic()
    try:
        connect(address, port, timeout).close()
        name = "ok"
    except TimeoutError as error:
        name = "timeout" if error.errno is None else errno.errorcode[error.errno]
    except OSError as error:
        name = errno.errorcode.get(error.errno, str(error))
    return name, time.monotonic() - started

def udp(address):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    return s

def read_all(s):
    parts = []
    while data := s.recv(1 << 20):
        parts.append(data)
    return b"".join(parts)

def counter(group, name):
    """One of the kernel's counters for this namespace: counter("Tcp", "RetransSegs")."""
    lines = [line.split() for file in ("/proc/net/snmp", "/proc/net/netstat") for line in open(file)]
    names, values = [line for line in lines if line[0] == group + ":"]
    return int(values[names.index(name)])

'''
