"""What the tests of the packages share: the packages, and systems to install them in."""

import os
import pathlib
import shutil

import pytest

from packing import ROOT, pack
from system import System, make_base


def pytest_addoption(parser):
    group = parser.getgroup("package", "packages: what tests/package run")
    group.addoption("--build", metavar="FOLDER", default=str(ROOT / "build/release"),
                    help="the build that is packed")
    group.addoption("--base", metavar="FOLDER",
                    help="a tree of mmdebstrap to install in, made there if it is missing "
                    "(default: one that is removed again)")
    group.addoption("--rebuild", action="store_true",
                    help="also compile the program again in another folder, and compare")


def pytest_collection_modifyitems(config, items):
    if not config.option.rebuild:
        again = [item for item in items if item.get_closest_marker("rebuild")]
        config.hook.pytest_deselected(items=again)
        items[:] = [item for item in items if item not in again]


@pytest.fixture(scope="session")
def build(request):
    return pathlib.Path(request.config.option.build).resolve()


@pytest.fixture(scope="session")
def packages(build, tmp_path_factory):
    return pack(build, tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="session")
def base(request, tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("only root can mount the system to install in")
    folder = request.config.option.base
    kept = folder is not None
    folder = pathlib.Path(folder or tmp_path_factory.mktemp("base") / "tree").resolve()
    if not folder.exists():
        make_base(folder)
    yield folder
    if not kept:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def new_system(base, packages):
    """Makes systems that have the packages in /root, and nothing of them installed."""
    made = []

    def new():
        made.append(System(base))
        for path in packages.values():
            made[-1].bring(path)
        return made[-1]

    yield new
    for system in made:
        system.end()
