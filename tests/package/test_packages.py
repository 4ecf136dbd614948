"""The packages as files: what lintian says, what is in them, and that they can be made again."""

import os
import re
import shutil
import subprocess

import pytest

import differences
from packing import ROOT, pack

# What CMakeCache.txt says of how a program is compiled.
COMPILED_BY = ("CMAKE_BUILD_TYPE", "CMAKE_CXX_FLAGS", "SLUICE_LTO", "SLUICE_PCH", "SLUICE_PROBES",
               "SLUICE_HARDENED", "SLUICE_TESTS", "SLUICE_BENCH")


def output(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def tree(packages, tmp_path_factory):
    """What sluice's package puts on a disk."""
    folder = tmp_path_factory.mktemp("tree")
    output("dpkg-deb", "--extract", packages["sluice"], folder)
    return folder


def test_lintian_accepts_them(packages):
    done = subprocess.run(["lintian", "--fail-on", "error,warning", *packages.values()],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_lintian_override_has_its_reason():
    for path in (ROOT / "packaging/debian").glob("*/lintian-overrides"):
        before = ""
        for line in path.read_text().splitlines():
            assert line.startswith("#") or before.startswith("#"), f"{path}: no reason for {line}"
            before = line


def test_a_second_run_makes_the_same_bytes(build, packages, tmp_path):
    """By somebody with another umask, time zone and language, in another folder, later."""
    strange = {**os.environ, "TZ": "Asia/Kathmandu", "LC_ALL": "C", "HOME": str(tmp_path)}
    again = pack(build, tmp_path / "another" / "folder", env=strange, umask=0o077)
    assert again.keys() == packages.keys() == {"sluice", "sluice-compat"}
    for name, path in packages.items():
        assert differences.between(path, again[name]) == []


def test_a_difference_is_told_by_file_and_byte(packages, tmp_path):
    changed = tmp_path / "tree"
    output("dpkg-deb", "--raw-extract", packages["sluice-compat"], changed)
    readme = changed / "usr/lib/sluice/peers/README"
    stamp = readme.stat()
    readme.write_text(readme.read_text().replace("Programs", "Pr0grams"))
    os.utime(readme, (stamp.st_atime, stamp.st_mtime))
    (changed / "usr/lib/sluice/new").touch()
    output("dpkg-deb", "--root-owner-group", "--build", changed, tmp_path / "changed.deb")
    told = "\n".join(differences.between(packages["sluice-compat"], tmp_path / "changed.deb"))
    assert re.search(r"^\./usr/lib/sluice/new: only in ", told, re.MULTILINE)
    assert "usr/lib/sluice/peers/README: 192 and 192 bytes, apart from byte 2 on" in told


@pytest.mark.rebuild
def test_a_build_in_another_folder_makes_the_same_bytes(build, packages, tmp_path):
    """From the tree as it is, all compiled again: some twenty minutes of two cores."""
    source = tmp_path / "a" / "folder-of-another-name" / "sluice"
    for name in output("git", "-C", ROOT, "ls-files").splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    cache = (build / "CMakeCache.txt").read_text()
    options = [f"-D{name}={re.search(f'^{name}:[A-Z]+=(.*)$', cache, re.MULTILINE)[1]}"
               for name in COMPILED_BY]
    plain = {**os.environ, "CCACHE_DISABLE": "1"}
    for words in (["cmake", "-G", "Ninja", "-S", source, "-B", source / "build", *options],
                  ["cmake", "--build", source / "build", "--target", "sluice"]):
        subprocess.run(words, check=True, env=plain, stdout=subprocess.DEVNULL)
    again = pack(source / "build", tmp_path / "packages")
    for name, path in packages.items():
        assert differences.between(path, again[name]) == []


def test_what_they_need_is_known(packages):
    def field(package, name):
        return output("dpkg-deb", "--field", packages[package], name).strip()

    version = re.search(r"project\(sluice VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
    assert field("sluice", "Version") == f"{version}-1"
    assert field("sluice-compat", "Depends") == f"sluice (= {version}-1)"
    assert field("sluice-compat", "Architecture") == "all"
    needed = field("sluice", "Depends")
    for library in ("libc6 (>= ", "libc-ares2 (>= ", "libcap-ng0 (>= ", "libmnl0 (>= ",
                    "libseccomp2 (>= "):
        assert library in needed
    # What it loads while it runs, and can be without.
    loaded = {"libidn2-0", "libpsl5", "libmicrohttpd12", "libsystemd0"}
    assert set(field("sluice", "Recommends").split(", ")) == loaded


def test_the_program_is_hardened_and_stripped(build, tree):
    program = tree / "usr/bin/sluice"
    assert "DYN (Position-Independent Executable file)" in output("readelf", "-h", program)
    assert "GNU_RELRO" in output("readelf", "-lW", program)
    assert re.search(r"FLAGS.*\bNOW\b", output("readelf", "-dW", program))
    sections = output("readelf", "-SW", program)
    assert ".symtab" not in sections and ".debug_" not in sections
    if "SLUICE_HARDENED:BOOL=ON" in (build / "CMakeCache.txt").read_text():
        names = output("readelf", "--dyn-syms", "-W", program)
        assert "__stack_chk_fail" in names and "_chk@" in names
    # Nor does it tell where it was built.
    assert str(ROOT).encode() not in program.read_bytes()


def test_files_are_where_they_are_looked_for(tree):
    there = {str(path.relative_to(tree)) for path in tree.rglob("*")}
    names = {path.name for path in (ROOT / "man").iterdir()}
    assert {f"usr/share/man/man{name[-1]}/{name}.gz" for name in names} <= there
    profiles = {path.name for path in (ROOT / "data/profiles").iterdir()}
    assert {f"usr/share/sluice/profiles/{name}" for name in profiles} <= there
    assert {"usr/share/bash-completion/completions/sluice",
            "usr/share/zsh/vendor-completions/_sluice",
            "usr/share/fish/vendor_completions.d/sluice.fish",
            "usr/lib/systemd/system/sluice-forward.service",
            "etc/sluice/forward.toml",
            "usr/share/doc/sluice/copyright",
            "usr/share/doc/sluice/changelog.gz",
            "usr/share/doc/sluice/changelog.Debian.gz",
            "usr/share/doc/sluice/docs",
            "usr/share/doc/sluice/examples/small.toml"} <= there


def test_the_unit_is_one_that_systemd_takes(tree):
    """Its program and its file are there, and no line of it is unknown."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    unit = tree / "usr/lib/systemd/system/sluice-forward.service"
    text = unit.read_text()
    assert "ExecStart=/usr/bin/sluice forward -c /etc/sluice/forward.toml\n" in text
    # The program of this package, not of this machine.
    unit.write_text(text.replace("/usr/bin/sluice", str(tree / "usr/bin/sluice")))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True,
                          text=True, check=False)
    unit.write_text(text)
    about = [line for line in done.stderr.splitlines() if "sluice" in line]
    assert (done.returncode, about) == (0, [])


@pytest.mark.parametrize("component, file", [
    ("program", "bin/sluice"), ("manual", "share/man/man1/sluice.1"),
    ("completions", "share/bash-completion/completions/sluice"),
    ("systemd", "lib/systemd/system/sluice-forward.service"),
    ("examples", "share/doc/sluice/examples/small.toml"),
    ("docs", "share/doc/sluice/docs"), ("compat", "lib/sluice/drop-in/pasta")])
def test_cmake_installs_one_component(build, tmp_path, component, file):
    output("cmake", "--install", build, "--prefix", tmp_path, "--component", component)
    assert os.path.lexists(tmp_path / file)
    if component == "systemd":
        assert f"ExecStart={tmp_path}/bin/sluice forward" in (tmp_path / file).read_text()
    others = {"bin", "lib", "share"} - {file.split("/")[0]}
    if component != "program":  # It has its profiles in share.
        assert not others & {path.name for path in tmp_path.iterdir()}
