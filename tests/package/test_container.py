"""packaging/Containerfile, as far as it can be followed without a container: its names, and the last
image's steps in a system like the one they are for."""

import re
import subprocess

import pytest

from packing import ROOT

FILE = ROOT / "packaging/Containerfile"


def instructions():
    joined = FILE.read_text().replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in joined.splitlines()
            if line and not line.startswith("#")]


def words_of(kind):
    return [words for name, words in instructions() if name == kind]


def test_it_builds_with_the_packages_that_the_tree_names():
    first = words_of("RUN")[0]
    assert '"${program_packages[@]}"' in first
    listed = subprocess.run(
        ["bash", "-c", 'source .ci/common.sh; printf "%s\\n" "${program_packages[@]}"'], cwd=ROOT,
        check=True, capture_output=True, text=True).stdout.split()
    # The README's list has those of the tests and benchmarks as well.
    readme = (ROOT / "README.md").read_text()
    command = re.search(r"sudo apt-get install (.*?)\ncmake", readme, re.DOTALL)[1]
    assert set(listed) - {"file", "python3"} <= set(command.replace("\\", " ").split())


def test_it_copies_and_builds_what_there_is():
    for words in words_of("COPY"):
        source = words.split()[0]
        assert source.startswith("--from=build") or (ROOT / source).exists()
    build = words_of("RUN")[1]
    preset = re.search(r"--build --preset (\S+) --target deb", build)[1]
    assert f"/build/{preset}/packages/sluice_*.deb" in words_of("COPY")[-1]
    presets = subprocess.run(["cmake", "--list-presets=build"], cwd=ROOT, check=True,
                             capture_output=True, text=True).stdout
    assert f'"{preset}"' in presets


@pytest.mark.parametrize("arguments, output", [(["forward", "--help"], "sluice forward"),
                                               (None, "Usage")])
def test_its_last_image_starts_sluice(image, arguments, output):
    entry = re.findall(r'"([^"]*)"', words_of("ENTRYPOINT")[0])
    rest = arguments if arguments is not None else re.findall(r'"([^"]*)"', words_of("CMD")[0])
    done = subprocess.run(image.command([*entry, *rest]), capture_output=True, text=True, check=False)
    assert done.returncode == 0 and output.lower() in done.stdout.lower()


@pytest.fixture(scope="module")
def image(new_system):
    system = new_system()
    system.run("rm /root/sluice-compat_*.deb")
    system.run(words_of("RUN")[-1])
    assert system.run("ls /root /var/lib/apt/lists").split() == ["/root:", "/var/lib/apt/lists:"]
    return system
