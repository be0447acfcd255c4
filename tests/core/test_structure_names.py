"""What names say of nodes and classes, and the rules that go before them."""

import pytest

from lnmdetect.core.errors import UsageError
from lnmdetect.core.node_classes import CLASS_SETS, category_of
from lnmdetect.core.records import LYMPH_NODE
from lnmdetect.core.structure_names import (
    category_and_kind,
    class_in_name,
    parse_rules,
    ruled_class,
    speaks_of_nodes,
)


@pytest.mark.parametrize(
    "name", ["LN_2a", "Node 3", "GTVn", "gtvln-1", "lymph node left", "Lymphknoten", "LNs", "node"]
)
def test_these_are_nodes(name: str) -> None:
    assert speaks_of_nodes(name)


@pytest.mark.parametrize("name", ["BODY", "Parotid_L", "GTVp", "Colon", "Nodulus", "", "alnus"])
def test_these_are_none(name: str) -> None:
    assert not speaks_of_nodes(name)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("LN_2a_pos", "positive"),
        ("metastatic", "positive"),
        ("Benign node", "negative"),
        ("LN positive ENE", "extranodal_extension"),
        ("extranodal_extension", "extranodal_extension"),
        ("LN_2a", "node"),
        ("non-positive LN", "node"),
        ("positive or negative", "node"),
    ],
)
def test_a_class_is_taken_where_one_word_alone_names_it(name: str, found: str) -> None:
    assert class_in_name(name) == found


def test_every_class_of_ours_is_known_by_its_own_name() -> None:
    for name in {name for classes in CLASS_SETS for name in classes}:
        category, _ = category_and_kind(class_in_name(name))
        assert category == (category_of(name) or LYMPH_NODE)


def test_the_first_rule_that_fits_decides() -> None:
    rules = parse_rules(["LN_?=negative", "ln*=positive", "3=ignore"])
    names = ["ln_4", "LN_44", "3", "33"]
    assert [ruled_class(name, rules) for name in names] == ["negative", "positive", "ignore", None]


@pytest.mark.parametrize("text", ["LN", "LN=good", "=positive", ""])
def test_a_rule_without_pattern_or_class_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="NAME=CLASS"):
        parse_rules([text])
