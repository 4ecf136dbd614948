"""sluice's package in a fresh Debian: installed as people install it, tried as they would try it,
upgraded and removed."""

import os
import pty
import re
import select
import subprocess
import time

import pytest

INSTALL = "cd /root && apt-get install -y ./sluice_*.deb"
SETTINGS = "/etc/sluice/forward.toml"


@pytest.fixture(scope="module")
def system(new_system):
    system = new_system()
    system.run(INSTALL)
    return system


@pytest.mark.parametrize("user", [None, "guest"])
def test_a_command_runs_in_a_network_of_its_own(system, user):
    system.run("sluice run -- true", user=user)
    seen = system.run("sluice run -- ip -brief address", user=user)
    assert re.search(r"^tap0 .* 10\.0\.2\.15/24 ", seen, re.MULTILINE)
    system.run("sluice run -- sh -c 'exit 7'", user=user, status=7)


def test_a_published_server_answers(system):
    out = system.run("""
        mkdir -p /srv && echo from inside > /srv/page
        sluice run -p 127.0.0.1:8080:80 -- busybox httpd -f -p 80 -h /srv &
        for try in $(seq 100); do
          busybox wget -qO- http://127.0.0.1:8080/page 2>/dev/null && break; sleep 0.1
        done
        kill %1; wait %1""", alone=True, status=143)
    assert out == "from inside\n"


def test_no_library_is_missing(system):
    assert "not found" not in system.run("ldd /usr/bin/sluice")


def test_manual_pages_are_shown(system):
    assert "user-mode networking" in system.run("man sluice | cat")
    # Each is found by its name, and has nothing that groff warns of.
    problems = system.run("""
        dpkg -L sluice | grep '/man/man.*gz$' | while read -r page; do
          name=${page##*/} name=${name%.gz}
          [ "$(man -w ${name##*.} ${name%.*})" = "$page" ] || echo "$page is not found"
          man --warnings ${name##*.} ${name%.*} 2>&1 >/dev/null
        done""")
    assert problems == ""
    assert int(system.run("dpkg -L sluice | grep -c '/man/man.*gz$'")) > 10


def shown(system, typed, expected):
    """What a terminal of bash shows when `typed` is typed, until `expected` is there."""
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(system.command(["bash", "--noprofile", "--rcfile",
                                             "/usr/share/bash-completion/bash_completion", "-i"]),
                             stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    text, until = "", time.monotonic() + 60
    while expected not in text and time.monotonic() < until:
        if select.select([ours], [], [], 0.5)[0]:
            text += os.read(ours, 4096).decode()
        if typed and re.search(r"[#$] ", text):  # The prompt.
            os.write(ours, typed.encode())
            typed = ""
    shell.kill()
    shell.wait()
    os.close(ours)
    return text


@pytest.mark.parametrize("typed, expected", [("sluice r\t", "sluice run "),
                                             ("sluice run --host-loopb\t", "--host-loopback "),
                                             ("sluice forw\t", "sluice forward ")])
def test_bash_completes(system, typed, expected):
    assert expected in shown(system, typed, expected)


def test_profiles_are_found(system):
    assert {"python", "debian", "strict"} <= set(system.run("sluice profile list").split())
    said = system.run("sluice run --profile python -- true", user="guest")
    assert "default deny" in said


def test_the_settings_of_the_service_say_what_to_do(system):
    """They have no rule as they come, which is an error that says so; a rule of their example works."""
    check = f"sluice forward --check -c {SETTINGS}"
    assert "there are no rules" in system.run(f"{check}", status=None)
    system.run(f"cp {SETTINGS} /tmp/ && sed -i 's/^# \\(\\[\\[\\|listen\\|targets\\)/\\1/' {SETTINGS}")
    assert "10.0.0.2:80" in system.run(check)
    system.run(f"mv /tmp/forward.toml {SETTINGS}")


def test_the_service_is_not_enabled_by_itself(system):
    assert "sluice" not in system.run("ls -R /etc/systemd/system; true")


def test_a_new_version_keeps_settings_and_connections(new_system):
    """systemd is not there to be asked: what it is told stands in a file."""
    system = new_system()
    system.run(INSTALL)
    system.run(f"""
        echo '# Mine.' >>{SETTINGS} && cp {SETTINGS} /tmp/mine
        mkdir -p /run/systemd/system
        printf '#!/bin/sh\\necho "$*" >>/tmp/told\\n' >/usr/local/sbin/systemctl
        chmod 755 /usr/local/sbin/systemctl""")
    system.run("dpkg -i /root/sluice_*.deb")
    system.run(f"cmp {SETTINGS} /tmp/mine && test ! -e {SETTINGS}.dpkg-new")
    told = system.run("cat /tmp/told").splitlines()
    assert "kill --kill-whom=main --signal=SIGUSR2 sluice-forward.service" in told
    assert "--system daemon-reload" in told
    assert not [line for line in told if line.startswith(("stop", "restart"))]
    # A service that somebody has enabled is enabled again by the package's coming back.
    link = "/etc/systemd/system/multi-user.target.wants/sluice-forward.service"
    mask = "/etc/systemd/system/sluice-forward.service"
    system.run(f"mkdir -p {os.path.dirname(link)}")
    system.run(f"ln -s /lib/systemd/system/sluice-forward.service {link} && dpkg -r sluice")
    assert system.run(f"readlink {mask}") == "/dev/null\n"
    system.run(f"dpkg -i /root/sluice_*.deb && test -e {link} && test ! -e {mask}")
    # Removed, the settings stay; purged, they do not.
    system.run("dpkg -r sluice")
    system.run(f"cmp {SETTINGS} /tmp/mine && test ! -e /usr/bin/sluice")
    system.run("mkdir -p /var/log/private/sluice && dpkg -P sluice")
    system.run("test ! -e /etc/sluice && test ! -e /var/log/private/sluice")


def test_nothing_stays_behind(new_system):
    """Of both packages and what they brought with them."""
    # Caches and records of dpkg, apt, man-db and ldconfig tell of what has been.
    files = ("find / -xdev \\( -path /proc -o -path /dev -o -path /sys -o -path /run -o -path /tmp "
             "-o -path '/var/cache/*' -o -path '/var/log/*' -o -path '/var/lib/dpkg/*' "
             "-o -path '/var/lib/apt/*' -o -path /root -o -path '/etc/ld.so.cache' \\) -prune "
             "-o -print | sort")
    system = new_system()
    before = system.run(files)
    system.run("cd /root && apt-get install -y ./sluice*.deb && sluice run -- true")
    assert system.run(files) != before
    system.run("apt-get purge -y --auto-remove sluice sluice-compat")
    assert system.run(files).splitlines() == before.splitlines()
    assert "sluice" not in system.run("dpkg-divert --list; dpkg --get-selections; "
                                      "ls /etc/alternatives /var/lib/dpkg/alternatives")
