"""How each port forwarder is started: its rules, its options, and why it has them.

A peer must be shown at its best, and all of them under the same terms:

- As many workers or threads as the machine has cores, in every cell. It is what each program's
  manual advises, a single stream uses one of them anyway, and a second setting for some cells
  would be a different program in the same column.
- Room for more connections than any cell opens, no access log, no health checks.
- TCP_NODELAY wherever the program has it, because the clients send whole messages.
- An ordinary user and unprivileged ports, as a careful administrator would run them. So the
  kernel's limits on pipes (pipe-user-pages-soft) hold for every one of them; and each has a user
  of its own, for they hold for a user, and pipes that one keeps would be missing to another.
"""

import dataclasses
import os
import resource

# Two descriptors a connection, and some for pipes, listeners and logs. Not more than we may give:
# a container's root may be unable to raise its own hard limit.
SPARE_DESCRIPTORS = 600
DESCRIPTORS = min(64_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
CONNECTIONS = (DESCRIPTORS - SPARE_DESCRIPTORS) // 2  # At once.
NGINX_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"


@dataclasses.dataclass(frozen=True)
class Rule:
    """One listener and where it leads. Addresses are without brackets."""

    protocol: str  # tcp or udp
    family: int
    address: str
    port: int
    target: str
    target_port: int

    def listen(self):
        return endpoint(self.address, self.port)

    def to(self):
        return endpoint(self.target, self.target_port)


def endpoint(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@dataclasses.dataclass(frozen=True)
class Kind:
    """A forwarder. `commands(rules, folder, options)` → command lines, each one process tree.

    `folder` belongs to the user that runs it, and goes when the forwarder stops. A sweep passes
    `commands` what it varies by keyword.
    """

    program: str
    package: str
    commands: object
    udp: tuple = (4, 6)  # The families over which it forwards UDP.
    most_connections: int = CONNECTIONS


def cores():
    return len(os.sched_getaffinity(0))


def program_of(options, name):
    """The path that was given for a program; its name, to be looked up in PATH, without one."""
    return getattr(options, name, None) or name


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def rinetd(rules, folder, options):
    """One process, select(2), 16 KiB buffers: it has no option that could change one of these."""
    # Without this line it would write /var/run/rinetd.pid, which takes root.
    lines = [f"pidlogfile {folder}/pid"]
    lines += [f"{rule.address} {rule.port}/{rule.protocol} "
              f"{rule.target} {rule.target_port}/{rule.protocol}" for rule in rules]
    path = write(folder, "rinetd.conf", "\n".join(lines) + "\n")
    return [[program_of(options, "rinetd"), "-f", "-c", path]]


def _haproxy(rules, folder, options, tuning, defaults=""):
    # TCP_NODELAY is always set in TCP mode. The timeouts only silence its warning: a client that
    # stays idle must not be cut while the idle cell counts.
    head = f"""global
    nbthread {cores()}
    maxconn {CONNECTIONS}
{tuning}
defaults
    mode tcp
    maxconn {CONNECTIONS}
    timeout connect 5s
    timeout client 1h
    timeout server 1h
{defaults}
"""
    parts = [f"listen rule{number}\n    bind {rule.listen()}\n    server target {rule.to()}\n"
             for number, rule in enumerate(rules) if rule.protocol == "tcp"]
    path = write(folder, "haproxy.cfg", head + "\n".join(parts))
    # -db: in the foreground and without a master process.
    return [[program_of(options, "haproxy"), "-db", "-f", path]]


def haproxy_splice(rules, folder, options):
    # Both directions asked for: splice-auto leaves these streams to copies, at four times the CPU
    # time a byte. Pipes of 1 MiB move the most a call; no more than 60, because beyond 64 MiB a
    # user's new pipes hold a page (pipe-user-pages-soft), and what finds no pipe is copied.
    return _haproxy(rules, folder, options, "    tune.pipesize 1048576\n    maxpipes 60",
                    "    option splice-request\n    option splice-response")


def haproxy_copy(rules, folder, options):
    # 64 KiB instead of the default 16: a quarter of the system calls, and still within the cache.
    return _haproxy(rules, folder, options, "    nosplice\n    tune.bufsize 65536")


def nginx_stream(rules, folder, options):
    # TCP: no accept mutex and no reuseport: whichever worker is free takes the next connection,
    # while a hash would leave eight bulk streams unevenly spread. UDP needs reuseport: without it
    # datagrams of one client reach several workers, each with a session of its own.
    how = {"tcp": "backlog=4096", "udp": "udp reuseport"}
    servers = [f"    server {{ listen {rule.listen()} {how[rule.protocol]}; "
               f"proxy_pass {rule.to()}; }}" for rule in rules]
    # Two connection slots a connection, in each worker, for it may get them all. 64 KiB buffers
    # instead of the default 16 as for HAProxy; proxy_timeout as there. stream logs no access
    # unless told to, and sets TCP_NODELAY by default.
    text = f"""load_module {NGINX_MODULE};
daemon off;
worker_processes {cores()};
worker_rlimit_nofile {DESCRIPTORS};
pid {folder}/pid;
error_log stderr crit;
events {{
    worker_connections {2 * CONNECTIONS + 64};
    accept_mutex off;
}}
stream {{
    tcp_nodelay on;
    proxy_buffer_size 64k;
    proxy_connect_timeout 5s;
    proxy_timeout 1h;
""" + "\n".join(servers) + "\n}\n"
    path = write(folder, "nginx.conf", text)
    return [[program_of(options, "nginx"), "-p", folder, "-e", "stderr", "-c", path]]


def socat(rules, _folder, options, buffer=65536):
    """A process for each rule, and below it one for each connection."""
    # 64 KiB a read: its default of 8 KiB makes eight times the system calls.
    found = []
    for rule in rules:
        kind = f"{rule.protocol.upper()}{rule.family}"
        bracket = "[{}]" if rule.family == 6 else "{}"
        listen = (f"{kind}-LISTEN:{rule.port},bind={bracket.format(rule.address)},"
                  "fork,reuseaddr")
        target = f"{kind}:{bracket.format(rule.target)}:{rule.target_port}"
        words = [program_of(options, "socat"), "-b", str(buffer)]
        if rule.protocol == "tcp":
            listen += ",nodelay,backlog=4096"
            target += ",nodelay"
        else:
            # A datagram has no end: without a limit each client's process would stay for ever.
            words += ["-T", "30"]
        found.append([*words, listen, target])
    return found


def sluice_forward(rules, _folder, options, extra=()):
    words = [options.sluice, "forward", *extra]
    for rule in rules:
        scheme = "udp://" if rule.protocol == "udp" else ""
        words += [scheme + rule.listen(), scheme + rule.to()]
    return [words]


OURS = "sluice-forward"
PROGRAMS = ("rinetd", "haproxy", "nginx", "socat")
KINDS = {
    # select(2) ends at descriptor 1024, and rinetd with it: two a connection, and its listeners.
    # Over IPv6 it takes every datagram for a new client's (0.73): no second answer arrives whole.
    "rinetd": Kind("rinetd", "rinetd", rinetd, udp=(4,), most_connections=480),
    "haproxy-splice": Kind("haproxy", "haproxy", haproxy_splice, udp=()),
    "haproxy-copy": Kind("haproxy", "haproxy", haproxy_copy, udp=()),
    "nginx-stream": Kind("nginx", "libnginx-mod-stream", nginx_stream),
    # A process for each connection: more of them would only fill the machine.
    "socat": Kind("socat", "socat", socat, most_connections=1000),
    OURS: Kind("sluice", "", sluice_forward),
}
