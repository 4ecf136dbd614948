"""Each rule of tests/style/run is seen to fail: a small tree in which all of them hold, and for
each rule violations that are planted in it."""

import os
import re
import types

import pytest

from stylekit import checks, declarations, headers, mirror, sizes, tree

ROOMS = types.SimpleNamespace(
    MAY_INCLUDE={"base": set(), "wire": {"base"}, "host": {"wire", "base"},
                 "flow/core": {"wire", "base"}, "flow/tcp": {"flow/core", "wire", "base"},
                 "app": {"flow", "host", "wire", "base"}},
    DOORS={"flow": {"core/action.h", "tcp/tcp_flow.h"}}, SANS_IO={"wire", "flow"},
    NO_SHARED_OWNERSHIP={"base", "flow", "host"})

CLEAN = {
    "README.md": "See [the relay](docs/tcp_relay.md#states) and `src/flow/tcp/*.h`.\n",
    "ARCHITECTURE.md": "| `base` | x | — |\n| `wire` | x | base |\n| `host` | x | wire, base |\n"
                       "| `flow` | x | wire, base |\n| `app` | x | all above |\n",
    "docs/tcp_relay.md": "# Relay\n\n## States\n\n| state | is |\n|---|---|\n| `Open` | x |\n"
                         "| `Shut` | y |\n\n## States × events\n\n| event | Open | Shut |\n"
                         "|---|---|---|\n| RST | gone | — |\n",
    "src/CMakeLists.txt": "sluice_library(base)\nsluice_library(wire USES sluice_base)\n"
                          "sluice_library(host USES sluice_wire PkgConfig::MNL)\n"
                          "sluice_library(flow USES sluice_wire)\n"
                          "sluice_library(app USES sluice_flow sluice_host)\n",
    "src/base/time.h": "// Instants.\n#pragma once\nnamespace sluice {\nint now(int a);\n}\n",
    "src/base/time.cc": '#include "base/time.h"\n\nint sluice::now(int a) { return a; }\n',
    "src/wire/ip.h": '// IP (RFC 791), as in flow/tcp/tcp_flow.h.\n#pragma once\n#include "base/time.h"\n',
    "src/host/kernel.h": '// The seam.\n#pragma once\n#include <sys/socket.h>\n#include "wire/ip.h"\n',
    "src/flow/core/action.h": '// Actions.\n#pragma once\n#include "wire/ip.h"\n',
    "src/flow/tcp/tcp_flow.h": '// States.\n#pragma once\n#include "flow/core/action.h"\n'
                               "using TcpState = std::variant<Open, Shut>;\n",
    "src/app/main.cc": '#include "flow/core/action.h"\n#include "flow/tcp/tcp_flow.h"\n'
                       '#include "host/kernel.h"\n\nint main() { return 0; }\n',
    "tests/unit/base/time_test.cc": '#include "base/time.h"\n',
    "tests/style/untested.txt": "src/app/main.cc: tests/unit/base/time_test.cc\n",
}


def lines(count):
    return "int x;\n" * count


def members(count, parameters):
    return ("// Header.\n#pragma once\nclass Wide {\n public:\n  void seen(int a);\n\n private:\n"
            + "".join(f"  void f{at}({parameters});\n" for at in range(count)) + "};\n")


# Check: [(files that are added or replaced, what it must say)].
PLANTED = {
    "include rule": [
        ({"src/wire/ip.h": '// IP.\n#include "host/kernel.h"\n'}, "wire must not include host"),
        ({"src/flow/core/action.h": '// A.\n#include "flow/tcp/tcp_flow.h"\n'},
         "flow/core must not include flow/tcp"),
        ({"src/flow/flow.h": "// F.\n", "src/flow/core/action.h": '// A.\n#include "flow/flow.h"\n',
          "rooms": {"flow": set(), "flow/core": {"flow/tcp"}}}, "flow/core must not include flow\n?"),
        ({"src/new/file.cc": "\n"}, "does not know src/new"),
        ({"src/host/kernel.h": None}, "names src/host, which has no source")],
    "the include rule has no circle": [
        ({"rooms": {"base": {"app"}}}, "circle: app → base → app"),
        ({"rooms": {"flow/core": {"flow/tcp"}}}, "flow/core → flow/tcp → flow/core")],
    "ARCHITECTURE.md has the include rule": [
        ({"ARCHITECTURE.md": CLEAN["ARCHITECTURE.md"].replace("host` | x | wire, ", "host` | x | ")},
         "host: wire: not as in the include rule"),
        ({"ARCHITECTURE.md": CLEAN["ARCHITECTURE.md"].replace("| `wire` | x | base |\n", "")},
         "has no wire"),
        ({"ARCHITECTURE.md": CLEAN["ARCHITECTURE.md"].replace("—", "flow")}, "base: flow: not as")],
    "folders are entered by their doors": [
        ({"src/flow/tcp/loss.h": "// L.\n", "src/app/main.cc": '#include "flow/tcp/loss.h"\n'},
         r"main.cc:1: flow/tcp/loss.h is no door of flow"),
        ({"src/app/main.cc": '#include "flow/core/action.h"\n'},
         "flow/tcp/tcp_flow.h: named as a door, but nobody outside includes it"),
        ({"src/flow/core/action.h": None}, "core/action.h: named as a door, but there is no")],
    "CMake links what the include rule allows": [
        ({"src/CMakeLists.txt": CLEAN["src/CMakeLists.txt"].replace("wire USES", "wire USES sluice_host")},
         "wire links host, which the include rule forbids"),
        ({"src/CMakeLists.txt": CLEAN["src/CMakeLists.txt"].replace("(host USES sluice_wire", "(host USES")},
         "host includes wire and does not link it"),
        ({"src/CMakeLists.txt": CLEAN["src/CMakeLists.txt"].replace("sluice_library(base)\n", "")},
         "src/base has no library"),
        ({"src/CMakeLists.txt": CLEAN["src/CMakeLists.txt"] + "sluice_library(old)\n"},
         "sluice_old has no folder")],
    "the core makes no system call": [
        ({"src/flow/core/action.h": "// A.\n#include <sys/socket.h>\n"}, "action.h:2: #include <sys/"),
        ({"src/wire/ip.cc": '#include "wire/ip.h"\nint f() { return ::read(0, 0, 0); }\n'}, "::read"),
        ({"src/wire/ip.cc": "auto f() { return std::chrono::steady_clock::now(); }\n"}, "_clock::now")],
    "no shared ownership on the data path": [
        ({"src/host/kernel.h": "// K.\nstd::shared_ptr<int> x;\n"}, "kernel.h:2: no shared ownership")],
    "line length": [({"bench/a.cc": "int " + "x" * 97 + ";\n"}, "102 columns")],
    "unfinished words": [({"tests/unit/base/time_test.cc": "// " "TODO: more\n"}, "finish it")],
    "no .value() outside tests": [({"src/base/time.cc": "int f(X x) { return x.value(); }\n"},
                                   "time.cc:1: .value")],
    "texts lean on nothing outside of the tree": [
        ({"src/base/time.cc": "// As the issue says.\n"}, '"the issue"'),
        ({"docs/a.md": "The reference engine does.\n"}, '"The reference"')],
    "attacks have their tests": [
        ({"docs/attacks.md": "| 1 | a | b | `unit/base/none_test.cc`: `A.B` |\n"}, "there is no tests/unit/base/none"),
        ({"docs/attacks.md": "| 1 | a | b | `unit/base/time_test.cc`: `Time.Flies` |\n"},
         "time_test.cc has no test Time.Flies"),
        ({"docs/attacks.md": "| 1 | a | b | |\n"}, "attack 1 has neither a test nor a document"),
        ({"docs/attacks.md": "| 1 | a | [b](tcp_relay.md) | |\n"}, "attack 52 is missing"),
        ({"docs/box_attacks.md": "| 1 | a | b | |\n"}, "box_attacks.md:1: attack 1 has neither")],
    "links of documents lead somewhere": [
        ({"README.md": "[a](docs/none.md)\n"}, "there is no docs/none.md"),
        ({"README.md": "[a](docs/tcp_relay.md#stages)\n"}, "has no heading stages")],
    "files that are named are there": [
        ({"src/base/time.cc": "// See DESIGN.md, section 1.\n"}, "time.cc:1: DESIGN.md"),
        ({"docs/a.md": "`src/flow/udp/*.h`\n"}, "src/flow/udp/"),
        ({"docs/a.md": "in `flow/tcp/tcp_open.cc`\n"}, "flow/tcp/tcp_open.cc"),
        ({"docs/a.md": "`flow/tcp/tcp_flow.{h,cc}`\n"}, "tcp_flow.{h,cc}"),
        ({"tests/a.py": '"""As tests/unit/base/none_test.cc."""\n'}, "none_test.cc"),
        ({"src/base/time.cc": "// Beside clock.h.\n"}, "clock.h")],
    "the states of TCP stand in their document": [
        ({"src/flow/tcp/tcp_flow.h": "using TcpState = std::variant<Open, Shut, Gone>;\n"},
         "Gone is missing in the table of states"),
        ({"src/flow/tcp/tcp_flow.h": "using TcpState = std::variant<Open>;\n"},
         "Shut in the table of events is no state"),
        ({"docs/tcp_relay.md": CLEAN["docs/tcp_relay.md"].replace("| — |", "|")}, "not as many cells"),
        ({"src/flow/tcp/tcp_flow.h": "// S.\n"}, "no file of src")],
    "sizes of files, folders, classes and functions": [
        ({"src/base/time.cc": lines(401)}, r"time.cc: lines: 401, the limit is 400: split"),
        ({"src/base/time.cc": "int f() {\n" + "  g();\n" * 69 + "}\n"}, "lines of f: 71"),
        ({"src/base/wide.h": members(26, "int a")}, "private functions of Wide: 26, the limit is 25"),
        ({"src/base/wide.h": members(1, "A a, B<C, D> b, int c, int d = g(1, 2), int e")},
         "parameters of Wide::f0: 5, the limit is 4"),
        ({f"src/wire/a{at}.h": "// A.\n" for at in range(25)}, "src/wire: files: 26, the limit is 25"),
        ({"tests/style/sizes.txt": "500 src/base/time.cc: lines\n"}, "no longer too large"),
        ({"src/base/time.cc": lines(420), "tests/style/sizes.txt": "410 src/base/time.cc: lines\n"},
         "420, was 410"),
        ({"src/base/time.cc": lines(420), "tests/style/sizes.txt": "430 src/base/time.cc: lines\n"},
         "shrank from 430 to 420")],
    "each source file has its test": [
        ({"tests/unit/base/time_test.cc": None}, "src/base/time.cc: no tests/unit/base/time_test.cc"),
        ({"src/base/slab.h": "// S.\nint f() {\n  return 1;\n}\n"}, "no tests/unit/base/slab_test.cc"),
        ({"tests/style/untested.txt": "src/app/main.cc: tests/none.cc\n"}, "there is no tests/none.cc"),
        ({"tests/unit/app/main_test.cc": ""}, "src/app/main.cc has tests/unit/app/main_test.cc"),
        ({"tests/style/untested.txt": "src/app/main.cc: (a)\nsrc/gone.cc: (b)\n"}, "no such source")],
    "headers say what they are for": [({"src/wire/ip.h": "#pragma once\n"}, "opens without a comment")],
    "own header first": [
        ({"src/base/time.cc": '#include <cstdint>\n#include "base/time.h"\n'}, "must come first")],
    "every header is included": [
        ({"src/wire/old.h": "// Old.\n"}, "src/wire/old.h: nobody includes it"),
        ({"src/wire/old.h": "// Old.\n", "src/wire/old.cc": '#include "wire/old.h"\n'}, "src/wire/old.h"),
        ({"tests/unit/base/help.h": "// Help.\n"}, "tests/unit/base/help.h: nobody")],
}


def plant(root, files):
    for path, text in files.items():
        where = os.path.join(root, path)
        if text is None:
            os.remove(where)
            continue
        os.makedirs(os.path.dirname(where), exist_ok=True)
        with open(where, "w", encoding="utf-8") as file:
            file.write(text)


PLANTED_ONE_BY_ONE = [pytest.param(check, files, expected, id=f"{check}-{number}")
                      for check, cases in PLANTED.items()
                      for number, (files, expected) in enumerate(cases, 1)]


@pytest.fixture
def findings(monkeypatch, tmp_path):
    """What a check finds in the clean tree with planted files, and rooms that may include more."""

    def find(check, planted):
        planted = dict(planted)
        rooms = types.SimpleNamespace(**vars(ROOMS))
        rooms.MAY_INCLUDE = ROOMS.MAY_INCLUDE | planted.pop("rooms", {})
        monkeypatch.setattr(checks, "rooms", rooms)
        plant(tmp_path, CLEAN | planted if None not in planted.values() else CLEAN)
        plant(tmp_path, {path: text for path, text in planted.items() if text is None})
        plant(tmp_path, {path: text for path, text in planted.items() if text is not None})
        return list(checks.CHECKS[check](tree.Tree(tmp_path)))

    return find


def test_every_rule_has_a_planted_violation():
    assert set(PLANTED) == set(checks.CHECKS)


@pytest.mark.parametrize("check", checks.CHECKS)
def test_nothing_is_found_in_a_clean_tree(check, findings):
    assert findings(check, {}) == []


@pytest.mark.parametrize("check, files, expected", PLANTED_ONE_BY_ONE)
def test_what_is_planted_is_found(check, files, expected, findings):
    assert re.search(expected.replace("{", r"\{"), "\n".join(findings(check, files)))


def test_a_header_that_needs_another_does_not_stand_alone(tmp_path):
    plant(tmp_path, {"src/a.h": "// A.\n#pragma once\nstd::string x();\n",
                     "src/b.h": "// B.\n#pragma once\n#include <string>\nstd::string y();\n"})
    found = list(headers.stand_alone(tree.Tree(tmp_path), "c++"))
    assert len(found) == 1
    assert "src/a.h does not compile alone" in found[0]


def test_sizes_are_recorded_but_for_too_many_parameters(tmp_path):
    seven = "// F.\nint f(int a, int b, int c, int d, int e, int g, int h);\n"
    plant(tmp_path, {"src/base/time.cc": lines(401), "src/base/seven.h": seven,
                     "src/base/five.h": members(1, "A, B, C, D, E")})
    text, refused = sizes.record(tree.Tree(tmp_path))
    assert "401 src/base/time.cc: lines\n" in text
    assert "5 src/base/five.h: parameters of Wide::f0\n" in text
    assert "seven.h" not in text
    assert len(refused) == 1
    # What was recorded when the limit came stays so.
    plant(tmp_path, {sizes.RECORD: text + "7 src/base/seven.h: parameters of f\n"})
    text, refused = sizes.record(tree.Tree(tmp_path))
    assert "7 src/base/seven.h: parameters of f\n" in text
    assert refused == []
    assert list(sizes.only_shrink(tree.Tree(tmp_path)))[1:] == []


def test_declarations_only_need_no_test(tmp_path):
    plant(tmp_path, {"src/base/a.h": "// A.\nstruct A {\n  int x = 0;\n  int f();\n};\n"})
    assert list(mirror.sources_with_code(tree.Tree(tmp_path))) == []


class TestDeclarations:
    """The forms of C++ that the reader of declarations knows."""

    def read(self, text):
        return declarations.functions(tree.Source("src/a/a.h", text))

    def names(self, text):
        return [(function.name, function.parameters) for function in self.read(text)]

    def test_functions(self):
        for text, expected in (
                ("int f();", [("f", 0)]),
                ("int f(void) { return 0; }", [("f", 0)]),
                ("[[nodiscard]] std::expected<A<B, C>, D> f(E<F, G> e, int x = g(1, 2)) const;", [("f", 2)]),
                ("auto f(int a) -> std::pair<int, int> {\n  return {a, [](int b, int c) {}};\n}", [("f", 1)]),
                ("template <typename T, int N = (1 + 2)>\n  requires(N > 1)\nvoid f(T a, T b);", [("f", 2)]),
                ("bool A::operator()(int a, int b) const { return a < b; }", [("operator()", 2)]),
                ("friend bool operator==(const A&, const A&) { return true; }", [("operator==", 2)]),
                ("void f(std::function<void(int, int)> done);", [("f", 1)]),
                ("void f(const std::array<int, 2>& a = {1, 2});", [("f", 1)]),
                ("A::A(int a, int b) : a_{a}, b_(b), c_{{1, 2}} { g(a, b); }", [("A::A", 2)]),
                ("#define F(a, b) int f(int a)\nint g(int a);", [("g", 1)]),
                ("namespace a::b {\nint f();\nnamespace {\nint g(int a) { return a; }\n}\n}", [("f", 0), ("g", 1)]),
        ):
            assert self.names(text) == expected

    def test_what_is_no_function(self):
        for text in ("int x = f(1, 2);", "std::vector<int> v{f(1), 2};", "using F = void (*)(int);",
                     "std::function<bool(int)> f_;", "static_assert(sizeof(A) == 8);", "enum class E { kA };",
                     "constexpr std::array kAll = {A{1}, A{2}};", "class A;", "struct A { int x = g(2); };",
                     "PROBE(a, b);", "// int f(int a);", 'const char* kText = "int f(int a);";'):
            assert self.names(text) == []

    def test_what_is_private(self):
        text = ("class A {\n  int hidden();\n\n public:\n  A();\n  A(const A&) = delete;\n  int f() { return 1; }\n"
                " private:\n  struct B {\n    void seen();\n  };\n  friend bool operator<(A, B);\n  int g(int a);\n};\n"
                "struct C {\n  void open();\n\n private:\n  static void shut();\n};\n")
        private = [(function.owner, function.name) for function in self.read(text)
                   if function.private]
        assert private == [("A", "hidden"), ("A", "g"), ("C", "shut")]

    def test_lines(self):
        text = "int f(int a,\n      int b) {\n  if (a) {\n  }\n  return b;\n}\n\nint g() { return 1; }\n"
        assert [function.lines for function in self.read(text)] == [6, 1]
