"""`sluice run` as a command: status, signals, input and output, options, errors."""

import json
import os
import signal
import subprocess
import time

from harness import (ENVIRONMENT, GATEWAY, GUEST, GUEST_PRELUDE, NOBODY, PYTHON, check, check_equal,
                     each_family, finish, processes, read_line)


def one_line(done, status, word):
    """The run ended with `status` and one line on stderr that contains `word`."""
    text = done.stderr.strip()
    check_equal(done.returncode, status, f"exit status ({text[-200:]})")
    check(len(text.splitlines()) == 1, f"one line was expected: {text!r}")
    check(word in text, f"the line should name {word}: {text!r}")


def test_exit_status_is_the_commands(t):
    for status in (0, 1, 7, 42, 125, 255):
        check_equal(t.guest(["sh", "-c", f"exit {status}"]).returncode, status, "exit status")


def test_death_by_signal_is_128_plus_number(t):
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV):
        done = t.guest(["sh", "-c", f"kill -{int(number)} $$"])
        check_equal(done.returncode, 128 + number, f"status after {number.name}")


def test_signals_are_passed_on(t):
    code = """
def stop(number, _): print("got", number); sys.exit(3)
for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT): signal.signal(n, stop)
print("up")
time.sleep(30)
"""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        child = t.start_python(code)
        check_equal(read_line(child), "up", "guest")
        os.kill(child.pid, number)
        status, out, _ = finish(child, 10)
        check_equal((status, out.strip()), (3, f"got {int(number)}"), f"{number.name} passed on")


def test_ctrl_c_at_a_terminal(t):
    """The terminal signals the foreground group; the command decides, and we end as it did."""
    code = """
def stop(*_): print("interrupted", flush=True); sys.exit(5)
signal.signal(signal.SIGINT, stop)
print("up", flush=True)
time.sleep(30)
"""
    master, slave = os.openpty()
    command = t.command([PYTHON, "-c", GUEST_PRELUDE + code])
    child = t.net.popen(t.net.hst, ["setsid", "-c", "-w", *command], nobody=True, stdin=slave,
                        stdout=slave, stderr=slave, start_new_session=False)
    os.close(slave)
    seen = _read_until(master, b"up")
    os.write(master, b"\x03")
    seen += _read_until(master, b"interrupted")
    check_equal(child.wait(10), 5, f"status after Ctrl-C ({seen!r})")
    os.close(master)
    t.check_nothing_left()


def _read_until(fd, word, timeout=10):
    os.set_blocking(fd, False)
    seen = b""

    def found():
        nonlocal seen
        try:
            seen += os.read(fd, 4096)
        except BlockingIOError:
            pass
        except OSError:
            return True
        return word in seen

    processes.wait_until(found, timeout, f"the terminal never showed {word!r}: {seen!r}")
    return seen


def test_killed_engine_takes_the_command_along(t):
    """When the engine dies, no orphan stays in the namespace."""
    child = t.start(["sleep", "1000"])
    engine = t.engine_pid(child)
    inodes = {processes.net_namespace(p) for p in processes.descendants(child.pid)}
    inodes.discard(os.stat(f"/run/netns/{t.net.hst}").st_ino)
    inodes.discard(processes.net_namespace(os.getpid()))
    inodes.discard(None)
    check(inodes, "the command has no network namespace of its own")
    for inode in inodes:
        t.net.note_guest(inode)
    os.kill(engine, signal.SIGKILL)
    processes.wait_until(lambda: not processes.in_namespaces(inodes), 5,
                         "the command outlives its engine")


def test_input_and_output_pass_through(t):
    done = t.guest_ok(["sh", "-c", "cat; echo to-stderr >&2"], input="line one\nline two\n")
    check_equal(done.stdout, "line one\nline two\n", "stdout")
    check_equal(done.stderr, "to-stderr\n", "stderr")


def test_quoting_and_double_dash(t):
    words = ["a b", "", "--report", "-p", "$HOME", "'", '"', "*"]
    code = "print(args)"
    check_equal(t.python(code, *words).strip(), repr(words), "arguments")
    plain = t.net.run(t.net.hst, [t.path, "run", "echo", "--report", "x"], True)
    check_equal(plain.stdout, "--report x\n", "options after the command without --")


def test_closed_descriptors_are_nobodys_files(t):
    """Started with standard descriptors closed, what we say goes nowhere, and not into our files."""
    for closing in ("<&- >&- 2>&-", "2>&-", ">&- 2>&-", "<&-"):
        log = t.file("flows.jsonl", "")
        os.chmod(log, 0o666)
        code = "print(outcome(args[0], 9)); print(sorted(os.listdir('/proc/self/fd')))"
        command = t.command([PYTHON, "-c", GUEST_PRELUDE + code, t.net.SRV[4]],
                            ["--report", "--flow-log", log, "-v"])
        done = t.net.run(t.net.hst, ["sh", "-c", f'exec "$@" {closing}', "sh", *command], True)
        check_equal(done.returncode, 0, f"status with {closing}")
        with open(log, encoding="utf-8") as file:
            lines = file.read().splitlines()
        check_equal(len(lines), 1, f"lines of the flow log with {closing}: {lines}")
        check_equal(json.loads(lines[0])["port"], 9, "port in the flow log")
        if closing == "<&-":
            check("'0', '1', '2'" in done.stdout, f"descriptors of the command: {done.stdout}")


def test_environment_and_directory_are_kept(t):
    done = t.guest_ok(["sh", "-c", "pwd; echo $SLUICE_TEST"], cwd=t.folder,
                      env={**ENVIRONMENT, "SLUICE_TEST": "kept"})
    check_equal(done.stdout, f"{t.folder}\nkept\n", "directory and environment")


def test_command_not_found_is_127(t):
    one_line(t.guest(["/nowhere/program"]), 127, "/nowhere/program")
    one_line(t.guest(["no-such-program-here"]), 127, "no-such-program-here")


def test_not_executable_is_126(t):
    path = t.file("plain", "text\n")
    one_line(t.guest([path]), 126, path)
    one_line(t.guest(["/tmp"]), 126, "/tmp")


BAD_OPTIONS = [
    (["--address", "nonsense"], "--address"), (["--address", "10.0.2.15/99"], "--address"),
    (["--gateway", "10.0.2"], "--gateway"), (["--dns", "x"], "--dns"), (["--mtu", "abc"], "--mtu"),
    (["--mtu", "10"], "--mtu"), (["--mtu", "70000"], "--mtu"), (["--mac", "zz:zz"], "--mac"),
    (["--mac", "01:00:5e:00:00:01"], "--mac"), (["--interface", "a" * 40], "--interface"),
    (["--interface", "a/b"], "--interface"), (["-p", "x"], "--publish"),
    (["--publish", "70000:1"], "--publish"), (["--publish", "80:80/sctp"], "--publish"),
    (["--deny", "x y"], "--deny"), (["--deny", "10.0.0.0/8:99999"], "--deny"),
    (["--allow", "10.0.0.0/33"], "--allow"), (["--max-flows", "-1"], "--max-flows"),
    (["--max-flows", "many"], "--max-flows"),
    (["--new-flows-per-second", "1e3"], "--new-flows-per-second"),
    (["--report=xml"], "--report"), (["--log-level", "loud"], "--log-level"),
    (["--no-such-option"], "--no-such-option"), (["-4", "-6"], "-4"),
    (["--gateway", "10.9.9.9"], "--gateway"),
]


def test_bad_options_name_themselves(t):
    wrong = []
    for options, name in BAD_OPTIONS:
        done = t.guest(["true"], options)
        lines = done.stderr.strip().splitlines()
        if done.returncode != 2 or not lines or name not in lines[0]:
            wrong.append(f"{' '.join(options)} → {done.returncode} {done.stderr.strip()!r}")
    check(not wrong, "; ".join(wrong))


def test_a_bad_option_costs_one_line(t):
    one_line(t.guest(["true"], ["--mtu", "abc"]), 2, "--mtu")


def test_missing_value_and_missing_command(t):
    done = t.net.run(t.net.hst, [t.path, "run", "--mtu"], True)
    check_equal(done.returncode, 2, "status of an option without its value")
    check("--mtu" in done.stderr, f"the option is not named: {done.stderr!r}")
    done = t.net.run(t.net.hst, [t.path, "runn"], True)
    check_equal(done.returncode, 2, "status of an unknown subcommand")


def with_tun(t, script):
    """Runs the engine where /dev/net/tun is as `script` makes it, in a private mount namespace."""
    launch = " ".join([*NOBODY, t.path, "run", "--interface=net7", "--", "ip", "-br", "link"])
    return t.net.run(t.net.hst, ["unshare", "-m", "sh", "-c", f"{script}; exec {launch}"])


def test_missing_tun_device(t):
    """It goes on without (test_packet_link.py)."""
    done = with_tun(t, "mount -t tmpfs none /dev/net")
    check_equal((done.returncode, done.stderr), (0, ""), "status and messages")
    check("net7" in done.stdout, f"no interface: {done.stdout}")


def test_tun_without_permission(t):
    node = t.file("tun", "")
    done = with_tun(t, f"chmod 600 {node}; mount --bind {node} /dev/net/tun")
    check_equal((done.returncode, done.stderr), (0, ""), "status and messages")
    check("net7" in done.stdout, f"no interface: {done.stdout}")


def test_tun_that_is_another_device(t):
    one_line(with_tun(t, "mount --bind /dev/null /dev/net/tun"), 125, "/dev/net/tun")


def test_unwritable_files(t):
    for option in ("--pcap", "--flow-log", "--report-file"):
        one_line(t.guest(["true"], [option, "/nowhere/file"]), 125, "/nowhere/file")
        one_line(t.guest(["true"], [option, "/etc/sluice-test-file"]), 125, "/etc/sluice-test-file")


def test_runs_as_root_too(t):
    done = t.guest_ok(["sh", "-c", "id -u; ip -br addr"], nobody=False)
    check(done.stdout.startswith("0\n") and GUEST[4] in done.stdout, done.stdout)


@each_family
def test_guest_is_configured(t):
    option = [] if t.family == 4 else ["-6"]
    addresses = t.guest_ok(["ip", *option, "-o", "addr"]).stdout
    routes = t.guest_ok(["ip", *option, "route"]).stdout
    check(GUEST[t.family] in addresses, f"addresses: {addresses}")
    check("tentative" not in addresses, f"an address is still tentative: {addresses}")
    check(f"default via {GATEWAY[t.family]}" in routes, f"routes: {routes}")
    loopback = {4: "127.0.0.1", 6: "::1"}[t.family]
    t.guest_ok(["ping", "-n", "-c", "1", "-W", "1", loopback])


def test_options_change_the_configuration(t):
    options = ["--address", "192.168.77.5/24", "--gateway", "192.168.77.1", "--dns", "192.168.77.3",
               "--address", "fd99::5/64", "--mtu", "9000", "--mac", "02:11:22:33:44:55",
               "--interface", "uplink"]
    text = t.guest_ok(["sh", "-c", "ip addr show uplink; ip route; cat /etc/resolv.conf"],
                      options).stdout
    for word in ("192.168.77.5/24", "fd99::5/64", "mtu 9000", "02:11:22:33:44:55",
                 "default via 192.168.77.1", "nameserver 192.168.77.3"):
        check(word in text, f"{word} is missing in: {text}")


def test_one_family_only(t):
    four = t.guest_ok(["ip", "-o", "addr", "show", "scope", "global"], ["-4"]).stdout
    check("inet " in four and "inet6" not in four, f"-4: {four}")
    six = t.guest_ok(["ip", "-o", "addr", "show", "scope", "global"], ["-6"]).stdout
    check("inet6" in six and "inet " not in six, f"-6: {six}")


def test_pid_namespace_on_request(t):
    done = t.guest_ok(["sh", "-c", "echo $$; ls /proc | grep -c '^[0-9]'"], ["--pid"])
    own, count = map(int, done.stdout.split())
    check(own <= 3, f"the command's PID is {own}")
    check(count <= 5, f"{count} processes in /proc")
    # A grandchild that is left alone must not stay behind.
    done = t.guest_ok(["sh", "-c", "sleep 1000 & exit 0"], ["--pid"], stdout=subprocess.DEVNULL)
    time.sleep(0.2)
    check_equal(done.returncode, 0, "status")


def test_soft_descriptor_limit_of_the_command_is_kept(t):
    launch = t.command(["sh", "-c", "ulimit -Sn"])
    done = t.net.run(t.net.hst, ["prlimit", "--nofile=512:4096", *launch], True)
    check_equal(done.stdout.strip(), "512", "the command's soft limit")


def test_serving_side_is_confined(t):
    child = t.start(["sleep", "1000"])
    engine = t.engine_pid(child)
    time.sleep(0.3)
    with open(f"/proc/{engine}/status", encoding="ascii") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    check_equal(int(status["CapEff"], 16), 0, "effective capabilities of the serving process")
    check_equal(int(status["CapPrm"], 16), 0, "permitted capabilities of the serving process")
    check_equal(status["NoNewPrivs"], "1", "no_new_privs")
    check_equal(status["Seccomp"], "2", "seccomp mode")


def test_two_guests_at_once_do_not_meet(t):
    first = t.start(["sleep", "1000"])
    second = t.start(["sleep", "1000"])
    namespaces = {processes.net_namespace(processes.descendants(c.pid)[-1])
                  for c in (first, second) if t.engine_pid(c)}
    check_equal(len(namespaces), 2, "namespaces of two guests")
