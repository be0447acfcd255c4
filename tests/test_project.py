"""README, Makefile and top level say what is there."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from lnmdetect import __version__
from lnmdetect.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = (
    *("install", "demo", "test", "test-all", "test-extras", "check", "weights", "heldout"),
    *("bench", "tables", "masks", "ultrasound", "clean"),
)
TOP_LEVEL = {
    *("pyproject.toml", "README.md", "Makefile", "LICENSE", "CITATION.cff"),
    *("lnmdetect", "tests", "data_specs", "docs"),
}
MADE_HERE = {"build", "demo", "dist", "runs", "lnmdetect.egg-info"}


def commands() -> set[str]:
    return set(getattr(get_command(app), "commands"))  # noqa: B009 - typer's own type lacks it


TYPED = re.compile(r"(?:^[\s│]+|`|&& )lnmdetect ([a-z]+)", re.MULTILINE)


@pytest.mark.parametrize("text", [README, MAKEFILE], ids=["README", "Makefile"])
def test_every_command_that_is_typed_exists(text: str) -> None:
    typed = set(TYPED.findall(text))
    assert {"detect", "classify", "eval"} <= typed
    assert typed <= commands()


def test_every_command_is_in_the_readme() -> None:
    table = README[README.index("## Commands") :]
    assert all(re.search(rf"`(?:[^`]*, )?{name}\b|`{name}`", table) for name in commands())


def test_every_target_of_make_exists_and_installs_first() -> None:
    for target in TARGETS:
        rule = re.search(rf"^{target}:(.*)$", MAKEFILE, re.MULTILINE)
        assert rule, target
        assert re.search(r"\$\((EXTRAS_)?STAMP\)", rule[1]) or target == "clean"
        assert f"make {target} " in README or target in ("install", "clean")


def test_the_tree_in_the_readme_names_each_package() -> None:
    packages = {path.parent.name for path in (ROOT / "lnmdetect").glob("*/__init__.py")}
    tree = README[README.index("## The tree") :]
    shown = set(re.findall(r"^  (\w+)/ ", tree, re.MULTILINE))
    assert shown == packages | {"recipes", "weights"}


def test_links_within_the_repository_lead_somewhere() -> None:
    for target in re.findall(r"\]\(((?!https?:|#)[^)]+)\)", README):
        name, _, section = target.partition("#")
        assert (ROOT / name).exists(), target
        if section:
            assert section in sections((ROOT / name).read_text(encoding="utf-8")), target


def sections(markdown: str) -> set[str]:
    """Return the headings as links name them: small letters, hyphens for spaces, no punctuation."""
    headings = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_nothing_else_lies_at_the_top() -> None:
    names = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert names - MADE_HERE <= TOP_LEVEL


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {__version__, project["version"], citation["version"]} == {__version__}


def test_the_license_is_the_whole_apache_2_text() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert len(text.split()) > 1500
