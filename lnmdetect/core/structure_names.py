"""What other tools call nodes and their classes, by whole words of a name."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from lnmdetect.core.errors import UsageError
from lnmdetect.core.node_classes import (
    EXTRANODAL,
    EXTRANODAL_KIND,
    MERGED_POSITIVE,
    NEGATIVE,
    NODE,
    POSITIVE,
)
from lnmdetect.core.records import BENIGN, LYMPH_NODE, METASTATIC

IGNORE = "ignore"
"""Stands for a class in a rule whose structures are no nodes."""
GIVEN_CLASSES = (NEGATIVE, POSITIVE, EXTRANODAL, MERGED_POSITIVE, NODE, IGNORE)
"""What a rule may name; `metastatic` is a positive node of which no more is said."""

ClassRules = tuple[tuple[str, str], ...]
"""Pairs of a pattern (* and ? as in file names, case ignored) and a class; the first that fits."""

_CLASS_WORDS = {
    **dict.fromkeys(("negative", "neg", "benign", "reactive"), NEGATIVE),
    **dict.fromkeys(("positive", "pos", "malignant", "metastatic", "metastasis"), POSITIVE),
    **dict.fromkeys(("extranodal", "ene"), EXTRANODAL),
}
_DENIALS = frozenset({"no", "non", "not", "without", "kein", "ohne"})
_NODE_WORDS = frozenset({"ln", "lns", "node", "nodes", "nodal", "gtvn", "gtvln"})
_LYMPH = "lymph"
_WORD = re.compile(r"[a-z]+")


def parse_rules(texts: Sequence[str]) -> ClassRules:
    """Return the rules of texts as `LN_pos*=positive`.

    Raises:
        UsageError: a text has no pattern, or names no class.
    """
    rules = []
    for text in texts:
        pattern, _, name = text.rpartition("=")
        if not pattern or name not in GIVEN_CLASSES:
            raise UsageError(
                "--class",
                expected=f"NAME=CLASS, the class one of {', '.join(GIVEN_CLASSES)}",
                got="another text",
                remedy="Write, say, --class 'LN_pos*=positive', or --class 3=ignore for a value.",
            )
        rules.append((pattern.lower(), name))
    return tuple(rules)


def ruled_class(name: str, rules: ClassRules) -> str | None:
    """Return the class (or `IGNORE`) that a rule gives this name; None where none fits."""
    lowered = name.lower()
    return next((given for pattern, given in rules if fnmatchcase(lowered, pattern)), None)


def speaks_of_nodes(name: str) -> bool:
    """Return whether a structure's name has a word for lymph nodes, as LN_2a, GTVn or Node 3."""
    return any(word in _NODE_WORDS or word.startswith(_LYMPH) for word in _words(name))


def class_in_name(name: str) -> str:
    """Return the one class whose word stands in the name; `NODE` where none, two or a denial do."""
    words = _words(name)
    if _DENIALS.intersection(words):
        return NODE
    found = {_CLASS_WORDS[word] for word in words if word in _CLASS_WORDS}
    if EXTRANODAL in found:
        found.discard(POSITIVE)
    return found.pop() if len(found) == 1 else NODE


def category_and_kind(name: str) -> tuple[int, str | None]:
    """Return the COCO category and kind of a node class."""
    if name == NODE:
        return LYMPH_NODE, None
    if name == NEGATIVE:
        return BENIGN, None
    return METASTATIC, EXTRANODAL_KIND if name == EXTRANODAL else None


def _words(name: str) -> list[str]:
    return _WORD.findall(name.lower())
