"""Tests that need an extra say so with the mark `extra`, by which `make test-extras` finds them."""

import ast
import re
import tomllib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import pytest_collection_modifyitems
from tests.test_project import MAKEFILE, ROOT

IMPORTED = {
    "onnx": {"onnx", "onnxruntime"},
    "openvino": {"openvino"},
    "quantize": {"nncf"},
    "ray": {"ray", "pandas"},
    "parquet": {"pyarrow"},
}
"""By which names the packages of an extra are imported."""
PACKAGES = {name for names in IMPORTED.values() for name in names}


def texts(node: ast.AST) -> set[str]:
    """Return the strings in a call, up to the first dot as in names of modules."""
    constants = (one for one in ast.walk(node) if isinstance(one, ast.Constant))
    return {one.value.split(".")[0] for one in constants if isinstance(one.value, str)}


def calls(source: str, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == name:
            yield node


def own_skips(source: str) -> list[str]:
    """Return the packages of extras for want of which a test skips by a way of its own."""
    skips = [*calls(source, "importorskip"), *calls(source, "skipif")]
    return sorted(PACKAGES & {text for skip in skips for text in texts(skip)})


def sources() -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py")}


def test_make_installs_the_extras_that_the_development_tools_leave_out() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    brought = set(re.findall(r"lnmdetect\[(\w+)\]", " ".join(extras["dev"])))
    listed = re.search(r"^EXTRAS := (.*)$", MAKEFILE, re.MULTILINE)
    assert listed
    assert set(listed[1].split(",")) == IMPORTED.keys()
    assert extras.keys() - brought - {"dev", "tensorboard"} == IMPORTED.keys()  # no test needs it


def test_the_mark_names_packages_of_extras_and_each_of_them_is_named() -> None:
    marks = [mark for text in sources().values() for mark in calls(text, "extra")]
    assert {text for mark in marks for text in texts(mark)} == PACKAGES


def test_no_test_skips_for_want_of_an_extra_without_the_mark() -> None:
    found = {name: own_skips(text) for name, text in sources().items()}
    assert {name: packages for name, packages in found.items() if packages} == {}


@pytest.mark.parametrize(
    ("line", "packages"),
    [
        ('pytest.importorskip("pyarrow.parquet")', ["pyarrow"]),
        ('@pytest.mark.skipif(find_spec("ray") is None, reason="none")\ndef f(): ...', ["ray"]),
        ('pytestmark = pytest.mark.skipif(map(find_spec, ("nncf", "onnx")))', ["nncf", "onnx"]),
        ('pytest.importorskip("monai")', []),
        ('pytest.mark.extra("onnx")', []),
    ],
)
def test_a_skip_without_the_mark_is_seen(line: str, packages: list[str]) -> None:
    assert own_skips(line) == packages


class Item:
    """A collected test with marks."""

    name = "test_it"

    def __init__(self, *packages: str) -> None:
        self.packages = packages
        self.added: list[Any] = []

    def iter_markers(self, name: str) -> Iterator[Any]:
        if self.packages and name == "extra":
            yield pytest.mark.extra(*self.packages).mark

    def add_marker(self, mark: Any) -> None:
        self.added.append(mark.mark)


def collected(item: Item, asked_for: str) -> list[str]:
    """Return why a test is skipped."""
    config: Any = SimpleNamespace(option=SimpleNamespace(markexpr=asked_for))
    pytest_collection_modifyitems(config, [item])  # type: ignore[list-item]
    return [mark.kwargs["reason"] for mark in item.added]


def test_a_marked_test_is_skipped_only_where_a_package_is_absent() -> None:
    assert collected(Item("json", "no_such_package"), "") == ["not installed: no_such_package"]
    assert collected(Item("json"), "") == []
    assert collected(Item(), "not slow") == []


def test_who_asks_for_the_marked_tests_alone_is_told_that_a_package_is_absent() -> None:
    assert collected(Item("json"), "extra") == []
    with pytest.raises(pytest.UsageError, match="no_such_package; `make test-extras` installs it"):
        collected(Item("no_such_package"), "extra")
