"""Each check of tests/style/run as a test of its name: nothing is found in this tree."""

import os

import pytest

from stylekit import checks, headers, tree

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


@pytest.fixture(scope="module")
def here():
    return tree.Tree(ROOT)


def must_be_empty(findings):
    if findings := list(findings):
        pytest.fail("\n".join(findings), pytrace=False)


@pytest.mark.parametrize("check", checks.CHECKS)
def test_tree(check, here):
    must_be_empty(checks.CHECKS[check](here))


@pytest.mark.parametrize("check", [checks.COMPILING])
def test_tree_compiles(check, here):
    must_be_empty(headers.stand_alone(here, "c++"))
