"""`sluice box` with real kernels, in nested KVM: one level 1 for all of these tests."""

import hashlib
import shlex

import pytest

import box_place as places
from harness import check, check_equal

# One worker has them all, and its level 1.
pytestmark = [pytest.mark.nested, pytest.mark.xdist_group("box"), pytest.mark.within(1800)]

PATTERN = bytes(range(251))


def digest(size):
    """SHA-256 of what the web server has under this number."""
    whole = PATTERN * (size // len(PATTERN) + 1)
    return hashlib.sha256(whole[:size]).hexdigest()


@pytest.mark.parametrize("words, status", [("exit 7", 7), ("kill -TERM $$", 143), ("true", 0)])
def test_status_is_that_of_the_command(box, words, status):
    done = box.box(words)
    check_equal((done.returncode, done.stdout), (status, ""), f"status of {words}: {done.stderr}")


@pytest.mark.parametrize("program, status", [("/nowhere/at/all", 127), ("/etc/passwd", 126)])
def test_a_command_that_cannot_start_is_told(box, program, status):
    done = box.level.run(f"{box.sluice} box --memory 256MiB -- {program}", places.SECONDS)
    check_equal(done.returncode, status, done.stderr)
    check(program in done.stderr, f"what is said: {done.stderr}")


def test_streams_are_exact_and_apart(box):
    lines = "".join(f"{number}\n" for number in range(1, 40001))
    said = box.ok("tee /dev/stderr | sha256sum", before="seq 1 40000 |", behind="2>/scratch/err")
    check_equal(said.split()[0], hashlib.sha256(lines.encode()).hexdigest(), "what cat was given")
    err = (box.level.scratch / "err").read_text()
    check_equal(hashlib.sha256(err.encode()).hexdigest(), hashlib.sha256(lines.encode()).hexdigest(),
                "what came by standard error")


def test_an_input_that_has_ended_is_one_in_the_machine(box):
    done = box.level.run(f"{box.sluice} box --cpus 1 --memory 256MiB -- cat </dev/null; echo $?",
                         places.SECONDS)
    check_equal(done.stdout, "0\n", done.stderr)


def test_who_reads_no_more_ends_the_writer(box):
    done = box.level.run(f"{box.sluice} box --cpus 1 --memory 256MiB -- yes | head -c 100000 | wc -c",
                         places.SECONDS)
    check_equal(done.stdout.strip(), "100000", done.stderr)


@pytest.mark.parametrize("cpus", [1, 2])
def test_processors_and_memory_are_those_asked_for(box, cpus):
    said = box.ok("nproc; sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo; uname -r",
                  "--cpus", str(cpus), "--memory", "384MiB").split()
    check_equal(said[0], str(cpus), "processors")
    check(300 << 10 < int(said[1]) <= 384 << 10, f"{said[1]} KiB of memory")
    check_equal(said[2], box.level.kernel, "the kernel")


def test_files_are_those_of_the_host_and_stay_as_they_are(box):
    box.level.ok("rm -rf /srv/box; mkdir -p /srv/box/in /srv/box/out; echo host >/srv/box/file; "
                 "echo in >/srv/box/in/file; chmod 755 /srv/box")
    said = box.ok("cat file; echo guest >file; cat file; echo more >>/etc/passwd; tail -n1 /etc/passwd; "
                  "cat /shared/file; echo no >/shared/file || echo refused; echo kept >out/kept; "
                  "pwd; echo $BOX", "--share", "/srv/box/in:/shared", "--share", "out:rw",
                  "--env", "BOX=a b", before="cd /srv/box &&")
    check_equal(said, "host\nguest\nmore\nin\nrefused\n/srv/box\na b\n", "what the command saw")
    said = box.level.ok("cat /srv/box/file /srv/box/in/file /srv/box/out/kept; grep -c more /etc/passwd; "
                        "true")
    check_equal(said, "host\nin\nkept\n0\n", "what is there afterwards")


def test_the_command_is_who_started_it(box):
    asked = "id -u; id -g; touch /tmp/mine && stat -c %u /tmp/mine; cat /etc/shadow 2>/dev/null | wc -c"
    nobody = "setpriv --reuid=1234 --regid=1235 --clear-groups env -C /tmp HOME=/tmp"
    check_equal(box.ok(asked, before=nobody), "1234\n1235\n1234\n0\n", "as a user")
    check_equal(box.ok("id -u; id -g", "--as-root", before=nobody), "0\n0\n", "with --as-root")


def test_network_is_up_at_the_start(box):
    said = box.ok("ip -brief address show dev eth0; ip route show default; ip -6 route show default; "
                  "cat /sys/class/net/eth0/mtu; getent ahosts files.box.test")
    for wanted in ("10.0.2.15/24", "fd00::15/64", "default via 10.0.2.2", "default via fd00::2",
                   "1500", "10.77.0.2", "fd77::2"):
        check(wanted in said, f"no {wanted} in: {said}")


@pytest.mark.parametrize("host", ["10.77.0.2", "[fd77::2]"])
def test_bytes_up_and_down_are_exact(box, host):
    mib = 8 if box.options.fast else 64
    said = box.ok(f"curl -fsS http://{host}/{mib << 20} >/tmp/data && sha256sum </tmp/data && "
                  f"curl -fsS -T /tmp/data http://{host}/", "--memory", "512MiB", timeout=900)
    wanted = digest(mib << 20)
    check_equal(said.replace("-", " ").split(), [wanted, wanted], "down, and up again")


def test_pairs_of_queues_are_used_by_as_many_processors(box):
    size = 2 << 20
    done = box.level.run(
        f"{box.sluice} box --cpus 2 --net-queues 2 --workers 2 --memory 256MiB -- sh -c " +
        shlex.quote("nproc; ls -d /sys/class/net/eth0/queues/*x-* | wc -l; for i in 1 2 3 4; do "
                    f"taskset $((i % 2 + 1)) curl -fsS http://10.77.0.2/{size} | sha256sum & done; "
                    "wait; cat /proc/interrupts"), places.SECONDS)
    lines = done.stdout.split("\n")
    check_equal(lines[:2], ["2", "4"], f"processors and queues: {done.stderr}")
    check_equal([line.split()[0] for line in lines[2:6]], [digest(size)] * 4, "what came")


def test_policy_and_report_are_as_for_run(box):
    done = box.box("curl -sS --max-time 60 http://10.77.0.66/ ; echo $?; "
                   "curl -fsS http://files.box.test/5 | wc -c",
                   "--deny", "10.77.0.66", "--report")
    check_equal(done.stdout.split(), ["7", "5"], done.stderr)
    check("files.box.test" in done.stderr and "10.77.0.66" in done.stderr, f"report: {done.stderr}")


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_port_lists_lead_to_the_command(box, address):
    server = "printf 'HTTP/1.0 200 OK\\r\\n\\r\\nhello' >/tmp/said; " \
             "python3 -m http.server 80 --directory /srv/published"
    box.level.ok("mkdir -p /srv/published; echo hello >/srv/published/file")
    done = box.level.run(
        f"{box.sluice} box --memory 256MiB --as-root -p {address}:8080:80 -- sh -c "
        f"{shlex.quote(server)} >/run/published 2>&1 & pid=$!\n"
        f"for i in $(seq 120); do curl -fsS --max-time 10 http://{address}:8080/file && break; "
        "sleep 1; done\nkill $pid; wait $pid; echo $?", places.SECONDS)
    check_equal(done.stdout.split(), ["hello", "143"], done.stderr)


@pytest.mark.parametrize("name, status", [("TERM", 9), ("INT", 9), ("HUP", 9)])
def test_signals_go_to_the_command(box, name, status):
    words = f"trap 'exit {status}' {name}; echo ready; while :; do sleep 0.1; done"
    # What a shell starts in the background ignores SIGINT.
    done = box.level.run(
        f"env --default-signal=INT {box.sluice} box --cpus 1 --memory 256MiB -- sh -c "
        f"{shlex.quote(words)} >/run/said & pid=$!\n"
        "for i in $(seq 1000); do grep -q ready /run/said && break; sleep 0.1; done\n"
        f"kill -{name} $pid; wait $pid; echo $?; rm /run/said", places.SECONDS)
    check_equal(done.stdout.split(), [str(status)], done.stderr)


def test_the_monitor_sees_no_files(box):
    done = box.level.run(
        f"{box.sluice} box --cpus 1 --memory 256MiB -- sh -c 'echo ready; sleep 1000' >/run/said & "
        "pid=$!\nfor i in $(seq 1000); do grep -q ready /run/said && break; sleep 0.1; done\n"
        "grep ready /run/said; ls -A /proc/$pid/root/; kill -KILL $pid; wait $pid; rm /run/said",
        places.SECONDS)
    check_equal(done.stdout.split(), ["ready"], done.stderr)


def test_a_panic_ends_the_box_with_words(box):
    done = box.box("echo c >/proc/sysrq-trigger; sleep 100", "--as-root")
    check_equal(done.returncode, 125, done.stderr)
    check("the guest's kernel panicked" in done.stderr, f"what is said: {done.stderr}")
    check_equal(box.left_behind(), "", "what is left behind")


def test_a_reboot_from_within_is_no_panic(box):
    done = box.box("sync; echo b >/proc/sysrq-trigger; sleep 100", "--as-root")
    check_equal(done.returncode, 125, done.stderr)
    check("rebooted from within" in done.stderr, f"what is said: {done.stderr}")
    check("panic" not in done.stderr, f"what is said: {done.stderr}")


def test_a_folder_that_was_asked_for_and_is_missing_is_an_error(box):
    done = box.box("echo started", "--workdir", "/nowhere/at-all")
    check_equal(done.returncode, 125, done.stderr)
    check("--workdir: '/nowhere/at-all'" in done.stderr, f"what is said: {done.stderr}")
    check_equal(done.stdout, "", "the command")


def test_a_machine_that_hears_no_signal_is_ended_by_the_third(box):
    done = box.level.run(
        f"{box.sluice} box --cpus 1 --memory 256MiB -- sh -c 'trap \"\" TERM; echo ready; sleep 1000' "
        ">/run/said & pid=$!\n"
        "for i in $(seq 1000); do grep -q ready /run/said && break; sleep 0.1; done\n"
        "for i in 1 2 3; do kill -TERM $pid; sleep 0.5; done; wait $pid; echo $?; rm /run/said",
        places.SECONDS)
    check_equal(done.stdout.split(), ["143"], done.stderr)
    check_equal(box.left_behind(), "", "what is left behind")


def test_a_monitor_that_is_killed_takes_all_with_it(box):
    done = box.level.run(
        f"{box.sluice} box --cpus 1 --memory 256MiB -- sh -c 'echo ready; sleep 1000' >/run/said & "
        "pid=$!\nfor i in $(seq 1000); do grep -q ready /run/said && break; sleep 0.1; done\n"
        "kill -KILL $pid; wait $pid; echo $?; rm /run/said; sleep 3", places.SECONDS)
    check_equal(done.stdout.split(), ["137"], done.stderr)
    check_equal(box.left_behind(), "", "what is left behind")


def test_a_file_server_that_is_killed_ends_the_box(box):
    done = box.level.run(
        f"{box.sluice} box --cpus 1 --memory 256MiB -- sh -c 'echo ready; sleep 1000' >/run/said & "
        "pid=$!\nfor i in $(seq 1000); do grep -q ready /run/said && break; sleep 0.1; done\n"
        "kill -KILL $(pgrep virtiofsd | head -n1); wait $pid; echo $?; rm /run/said", places.SECONDS)
    check_equal(done.stdout.split(), ["125"], done.stderr)
    check("virtiofsd" in done.stderr, f"what is said: {done.stderr}")
    check_equal(box.left_behind(), "", "what is left behind")


def test_without_a_kernel_or_virtiofsd_a_sentence_says_so(box):
    done = box.box("true", "--kernel", "/etc/passwd")
    check_equal(done.returncode, 125, done.stderr)
    check("/etc/passwd" in done.stderr, f"what is said: {done.stderr}")
    hidden = "unshare -m sh -c 'mount -t tmpfs none /boot && \"$@\"' -"
    done = box.box("true", before=hidden)
    check_equal(done.returncode, 125, done.stderr)
    check("--fetch-kernel" in done.stderr, f"what is said: {done.stderr}")
    hidden = "unshare -m sh -c 'mount --bind /etc/hosts /usr/lib/qemu/virtiofsd && \"$@\"' -"
    done = box.box("true", before=hidden)
    check_equal(done.returncode, 125, done.stderr)
    check("virtiofsd" in done.stderr, f"what is said: {done.stderr}")
    check_equal(box.left_behind(), "", "what is left behind")
