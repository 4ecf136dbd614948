"""Classes and functions of a C++ file, read from its text.

No compiler: it knows the C++ of this tree, as clang-format lays it out, and its tests say which
forms that is. Bodies are skipped, so lambdas and local types are not seen.
"""

import dataclasses
import re

OPERATOR = re.compile(r"operator\s*(\(\s*\)|\[\s*\]|[^\s\w(]+|[\w:<>&* ]+?)\s*(?=\()")
NO_FUNCTION = re.compile(
    r"(?:using|typedef|static_assert|friend\s+(?:class|struct)|enum|namespace)\b")
OPENS = {"(": ")", "{": "}", "[": "]"}


@dataclasses.dataclass
class Function:
    name: str
    parameters: int
    private: bool  # Of a class; never true at namespace scope.
    owner: str  # The class, "" at namespace scope.
    line: int
    declared_only: bool  # Without a body here.
    lines: int  # Of declaration and body.


def closing(code, at):
    """The index of the bracket that closes the one at `at`."""
    depth = 0
    for index in range(at, len(code)):
        if code[index] in OPENS:
            depth += 1
        elif code[index] in ")}]":
            depth -= 1
            if depth == 0:
                return index
    return len(code) - 1


def closing_angle(code, at):
    depth = 0
    for index in range(at, len(code)):
        if code[index] == "<":
            depth += 1
        elif code[index] == ">" and code[index - 1] != "-":
            depth -= 1
            if depth == 0:
                return index
    return len(code) - 1


def without_prefix(text):
    """A declaration without attributes, template heads, requires and access labels."""
    text = re.sub(r"\[\[.*?\]\]|\balignas\s*\([^)]*\)", " ", text, flags=re.DOTALL).strip()
    while True:
        if (label := re.match(r"(?:public|private|protected)\s*:\s*", text)):
            text = text[label.end():]
        elif re.match(r"template\s*<", text):
            text = text[closing_angle(text, text.index("<")) + 1:].strip()
        elif (clause := re.match(r"requires\s*\(", text)):
            text = text[closing(text, clause.end() - 1) + 1:].strip()
        else:
            return text


def signature(text):
    """(name, parameters) of a function's declaration, or None where it declares something else."""
    text = without_prefix(text)
    if NO_FUNCTION.match(text):
        return None
    at = 0
    while at < len(text):
        char = text[at]
        named = OPERATOR.match(text, at)
        if named and (at == 0 or not re.match(r"\w", text[at - 1])):
            name, opening = "operator" + named.group(1).strip(), named.end()
            return name, count_parameters(text[opening + 1:closing(text, opening)])
        if char == "<":
            at = closing_angle(text, at)
        elif char == "=":
            return None  # A variable with its value.
        elif char in "{[":
            at = closing(text, at)
        elif char == "(":
            name = re.search(r"([\w:~]+)\s*$", text[:at])
            before = text[:name.start()].strip() if name else ""
            if name is None or name.group(1) in ("decltype", "noexcept", "sizeof"):
                at = closing(text, at)
            else:
                word = name.group(1)
                # A constructor has no type before it; a macro's call has neither type nor body.
                if not before and re.fullmatch(r"[A-Z][A-Z0-9_]+", word):
                    return None
                return word, count_parameters(text[at + 1:closing(text, at)])
        at += 1
    return None


def count_parameters(text):
    if text.strip() in ("", "void"):
        return 0
    count, at = 1, 0
    while at < len(text):
        if text[at] in OPENS:
            at = closing(text, at)
        elif text[at] == "<":
            at = closing_angle(text, at)
        elif text[at] == ",":
            count += 1
        at += 1
    return count


def is_initialiser(text):
    """Whether a brace after `text` is a variable's, or a member's of a constructor's list."""
    if signature(text) is None:
        return True
    listed = re.search(r"\)\s*(?:noexcept\s*)?:(?!:)", text)
    return listed is not None and re.search(r"[\w>]\s*$", text) is not None


SCOPE = re.compile(r"(?:inline\s+)?namespace\b|(?:typedef\s+)?(?:class|struct|union)\b|extern\s*$")


def functions(source):
    """Every function that is declared or defined at namespace or class scope."""
    code = re.sub(r"(?m)^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)),
                  source.code)
    found = []
    scopes = []  # [class name or None, access]
    begin = at = 0
    while at < len(code):
        char = code[at]
        if char in "([":
            at = closing(code, at)
        elif char == ":" and scopes and scopes[-1][0] is not None and (
                label := re.search(r"\b(public|private|protected)\s*$", code[begin:at])):
            scopes[-1][1] = label.group(1)
            begin = at + 1
        elif char == ";":
            add(found, source, code, begin, at, scopes, True, at)
            begin = at + 1
        elif char == "}":
            if scopes:
                scopes.pop()
            begin = at + 1
        elif char == "{":
            text = without_prefix(code[begin:at])
            if SCOPE.match(text):
                named = re.match(r"(?:class|struct|union)\s+([\w:]+)", text)
                access = "private" if text.startswith("class") else "public"
                is_type = re.match(r"(?:class|struct|union)\b", text)
                scopes.append([named.group(1) if named else "" if is_type else None, access])
                begin = at + 1
            elif re.match(r"enum\b", text) or is_initialiser(code[begin:at]):
                at = closing(code, at)
            else:
                end = closing(code, at)
                add(found, source, code, begin, at, scopes, False, end)
                at = end
                begin = at + 1
        at += 1
    return found


def add(found, source, code, begin, at, scopes, declared_only, end):
    text = code[begin:at]
    read = signature(text)
    if read is None or declared_only and re.search(r"=\s*(?:default|delete)\s*$", text):
        return
    if declared_only and not scopes_allow(text, scopes):
        return
    owner = scopes[-1][0] if scopes and scopes[-1][0] is not None else ""
    first = source.line_of(begin + len(text) - len(text.lstrip()))
    private = (bool(owner) and scopes[-1][1] == "private"
               and not re.match(r"friend\b", without_prefix(text)))
    found.append(Function(read[0], read[1], private, owner, first, declared_only,
                          source.line_of(end) - first + 1))


def scopes_allow(text, scopes):
    """A declaration has a type before its name, or is a constructor's in its class."""
    name = re.search(r"([\w:~]+)\s*\(", without_prefix(text))
    plain = without_prefix(text)
    return name is None or name.start() > 0 or "operator" in plain or bool(scopes and scopes[-1][0])
