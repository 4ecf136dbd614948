"""All checks: what each is called, and what it finds in a tree."""

from . import attacks, headers, layering, mirror, references, rooms, sizes, states, words

CHECKS = {
    "include rule": lambda tree: layering.include_rule(tree, rooms),
    "the include rule has no circle": lambda tree: layering.rule_has_no_circle(tree, rooms),
    "ARCHITECTURE.md has the include rule":
        lambda tree: layering.document_has_the_rule(tree, rooms),
    "folders are entered by their doors": lambda tree: layering.doors(tree, rooms),
    "CMake links what the include rule allows":
        lambda tree: layering.link_lists_follow_the_rule(tree, rooms),
    "the core makes no system call": lambda tree: layering.core_makes_no_system_call(tree, rooms),
    "no shared ownership on the data path":
        lambda tree: layering.no_shared_ownership(tree, rooms),
    "line length": words.line_length,
    "unfinished words": words.unfinished,
    "no .value() outside tests": words.no_value_calls,
    "texts lean on nothing outside of the tree": words.nothing_outside,
    "links of documents lead somewhere": references.links,
    "files that are named are there": references.named_paths,
    "attacks have their tests": attacks.name_their_tests,
    "the states of TCP stand in their document": states.stand_in_the_document,
    "sizes of files, folders, classes and functions": sizes.only_shrink,
    "each source file has its test": mirror.every_source_is_tested,
    "headers say what they are for": headers.opening_comment,
    "own header first": headers.own_header_first,
    "every header is included": headers.no_dead_header,
}
COMPILING = "headers stand alone"
