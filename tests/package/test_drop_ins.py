"""sluice-compat: its names start sluice, beside the packages that have these names too."""

import pytest

INSTALL = "cd /root && apt-get install -y ./sluice_*.deb ./sluice-compat_*.deb"
PEERS = "apt-get install -y --no-install-recommends passt slirp4netns rinetd"
# How each program tells its version, and where it is.
NAMES = {"pasta": ("--version", "/usr/bin"), "passt": ("--version", "/usr/bin"),
         "slirp4netns": ("--version", "/usr/bin"), "oi": ("--version", "/usr/bin"),
         "rinetd": ("--version", "/usr/sbin")}
PACKAGED = ("pasta", "passt", "slirp4netns", "rinetd")
PAGES = "/usr/share/man/man1/pasta.1.gz /usr/share/man/man8/rinetd.8.gz"
WAIT = "for try in $(seq 100); do {} && break; sleep 0.1; done"


@pytest.fixture(scope="module")
def system(new_system):
    system = new_system()
    system.run(INSTALL)
    system.run("mkdir -p /srv && echo a page >/srv/page")
    return system


def started(system, name):
    """The file that a name starts."""
    folder = NAMES[name][1]
    return system.run(f"readlink -f {folder}/{name}").strip()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_starts_sluice(system, name):
    assert started(system, name) == "/usr/bin/sluice"
    option, folder = NAMES[name]
    assert system.run(f"command -v {name}").strip() == f"{folder}/{name}"
    said = system.run(f"{name} {option}")
    assert name in said or "sluice" in said
    assert name in system.run(f"{name} --help")


@pytest.mark.parametrize("name, page", [("pasta", "attach"), ("passt", "vm"), ("oi", "forward"),
                                        ("slirp4netns", "attach"), ("rinetd", "forward")])
def test_a_name_has_the_manual_page_of_what_it_starts(system, name, page):
    assert f"sluice-{page}" in system.run(f"man {name} | cat")


@pytest.mark.parametrize("name, file", [
    ("rinetd", "127.0.0.1 8080 127.0.0.1 8000"),
    ("oi", '[[forwarding_rules]]\nbind_address = "127.0.0.1"\nbind_port = 8080\n'
           'connect_address = "127.0.0.1"\nconnect_port = 8000')])
def test_a_forwarder_carries_a_page(system, name, file):
    path = f"/tmp/{name}.{'toml' if name == 'oi' else 'conf'}"
    foreground = "-f" if name == "rinetd" else ""
    out = system.run(f"""
        cat >{path} <<'FILE'\n{file}\nFILE
        busybox httpd -f -p 127.0.0.1:8000 -h /srv &
        {name} {foreground} -c {path} >/tmp/said 2>&1 &
        {WAIT.format('busybox wget -qO- http://127.0.0.1:8080/page 2>/dev/null')}
        kill %2 %1; wait %2""", alone=True)
    assert out == "a page\n"


def test_pasta_serves_a_command(system):
    """A web server in there, published by pasta's own option."""
    out = system.run(f"""
        pasta -q --config-net -t 8080:80 -- busybox httpd -f -p 80 -h /srv >/tmp/said 2>&1 &
        {WAIT.format('busybox wget -qO- http://127.0.0.1:8080/page 2>/dev/null')}
        kill %1; cat /tmp/said""", alone=True)
    assert out.startswith("a page\n")


def test_slirp4netns_configures_a_namespace(system):
    out = system.run(f"""
        unshare --net sleep 60 & guest=$!
        sleep 0.3
        slirp4netns -c --ready-fd=3 $guest tap0 3>/tmp/ready >/tmp/said 2>&1 & slirp=$!
        {WAIT.format('grep -q 1 /tmp/ready')}
        nsenter --target $guest --net ip -brief address show tap0
        kill $slirp; wait $slirp; kill $guest""", alone=True, status=None)
    assert "10.0.2.100/24" in out


def test_passt_opens_its_socket(system):
    out = system.run(f"""
        passt -f -s /tmp/passt.socket >/tmp/said 2>&1 & passt=$!
        {WAIT.format('test -S /tmp/passt.socket')}
        ls -l /tmp/passt.socket; kill $passt; cat /tmp/said""", alone=True, user="guest")
    assert "/tmp/passt.socket" in out


@pytest.mark.parametrize("first", ["sluice-compat", "peers"])
def test_peers_are_a_choice_beside_it(new_system, first):
    """In either order of coming; and when sluice-compat has gone, they are as if it had not been."""
    system = new_system()
    for step in (INSTALL, PEERS) if first == "sluice-compat" else (PEERS, INSTALL):
        system.run(step)
    for name in PACKAGED:
        assert started(system, name) == "/usr/bin/sluice"
        system.run(f"update-alternatives --set {name} /usr/lib/sluice/peers/{name}")
        assert started(system, name).startswith("/usr/lib/sluice/peers/")
    # An upgrade keeps what was chosen, and what was not.
    system.run("update-alternatives --auto rinetd && dpkg -i /root/sluice-compat_*.deb")
    assert started(system, "rinetd") == "/usr/bin/sluice"
    # As itself: by its name, with its own page.
    assert "Red Hat" in system.run("pasta --version")
    assert "slirp4netns version 1.2.0" in system.run("slirp4netns --version")
    assert "sluice" not in system.run("man pasta | cat")
    # One of them leaves, and comes again.
    system.run("apt-get remove -y slirp4netns")
    assert started(system, "slirp4netns") == "/usr/bin/sluice"
    assert "peers" not in system.run("update-alternatives --list slirp4netns")
    system.run("apt-get install -y --no-install-recommends slirp4netns")
    assert "peers/slirp4netns" in system.run("update-alternatives --list slirp4netns")
    system.run("apt-get remove -y sluice-compat")
    assert system.run("dpkg --verify passt slirp4netns rinetd") == ""
    assert "Red Hat" in system.run("/usr/bin/pasta --version")
    assert "diversion" not in system.run("dpkg-divert --list '*sluice*'")
    system.run(f"test ! -e /usr/lib/sluice && test -e {PAGES.split()[0]} && test -e {PAGES.split()[1]}")
