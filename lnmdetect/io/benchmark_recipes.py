"""Benchmark recipes read from the package, and the recipe of each of their rows."""

from importlib import resources
from pathlib import Path

import yaml

from lnmdetect.core.benchmark_config import BenchmarkChanges, BenchmarkRecipe, BenchmarkRow
from lnmdetect.core.config import TableRecipe
from lnmdetect.core.errors import UsageError
from lnmdetect.io.recipe_faults import faults_named
from lnmdetect.io.recipes import merged, parse_recipe, read_yaml_text, recipe_yaml

_SIZE_FIELD = {"classifier": ("model", "size_px"), "detector": ("sampling", "patch_px")}


def benchmark_names() -> tuple[str, ...]:
    """Return the names of the benchmarks that come with the package."""
    folder = resources.files("lnmdetect") / "recipes" / "benchmark"
    return tuple(sorted(f.name.removesuffix(".yaml") for f in folder.iterdir()))


def read_benchmark(name_or_path: str) -> BenchmarkRecipe:
    """Return a bundled benchmark by its name, or one of the user's own by its YAML file.

    Raises:
        UsageError: there is none of that name.
        InputError: the file cannot be read, or is no sound benchmark recipe; all faults are named.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        return parse_benchmark(read_yaml_text(path), where=path.name)
    if name_or_path not in benchmark_names():
        raise UsageError(
            "benchmark",
            expected=f"one of {', '.join(benchmark_names())}, or a .yaml file",
            got=repr(name_or_path),
            remedy="`lnmdetect benchmark --list` tells their rows.",
        )
    file = resources.files("lnmdetect") / "recipes" / "benchmark" / f"{name_or_path}.yaml"
    return parse_benchmark(file.read_text(encoding="utf-8"), where=name_or_path)


def parse_benchmark(text: str, *, where: str) -> BenchmarkRecipe:
    """Return the benchmark recipe in a YAML text.

    Raises:
        InputError: it is not YAML, or fields are missing, unknown or out of range.
    """
    remedy = "See lnmdetect/recipes/benchmark for sound ones."
    with faults_named(where, BenchmarkRecipe, what="benchmark recipe", remedy=remedy):
        recipe = BenchmarkRecipe.model_validate(yaml.safe_load(text))
    return recipe


def row_recipe(
    benchmark: BenchmarkRecipe, row: BenchmarkRow, changes: BenchmarkChanges | None = None
) -> TableRecipe:
    """Return the arm's recipe of one row: base, benchmark, row and command line, in this order.

    Raises:
        InputError: the fields do not make a sound recipe.
    """
    asked = changes or BenchmarkChanges()
    own = merged(benchmark.overrides, row.overrides)
    if benchmark.length is not None and asked.base in {None, benchmark.base}:
        own = merged(own, {"optimiser": benchmark.length.model_dump()})
    fields = merged(own, _changed(benchmark.arm, asked))
    fields |= {
        "base": asked.base or benchmark.base,
        "name": f"{benchmark.name}-{row.name}",
        "source": f"{benchmark.source}; {row.label}",
    }
    where = f"{benchmark.name}: {row.name}"
    recipe = parse_recipe(recipe_yaml(fields), where=where, arm=benchmark.arm)
    assert isinstance(recipe, TableRecipe)
    return recipe


def _changed(arm: str, changes: BenchmarkChanges) -> dict[str, dict[str, object]]:
    """Return the fields of an arm's recipe that the command line sets."""
    part, field = _SIZE_FIELD[arm]
    values = (
        ("model", "width", changes.width),
        (part, field, changes.size_px),
        ("optimiser", "epochs", changes.epochs),
    )
    fields: dict[str, dict[str, object]] = {}
    for name, key, value in values:
        if value is not None:
            fields.setdefault(name, {})[key] = value
    return fields


def chosen_rows(benchmark: BenchmarkRecipe, only: tuple[str, ...]) -> tuple[BenchmarkRow, ...]:
    """Return the rows of those names, all without any, in the benchmark's order.

    Raises:
        UsageError: there is no row of a name.
    """
    names = [row.name for row in benchmark.rows]
    if only == ("",):
        raise UsageError(
            "--only",
            expected=f"rows of {benchmark.name}: {', '.join(names)}",
            got="no name",
            remedy="Name rows of this benchmark, or leave --only out for all.",
        )
    unknown = [name for name in only if name not in names]
    if unknown:
        raise UsageError(
            "--only",
            expected=f"rows of {benchmark.name}: {', '.join(names)}",
            got=", ".join(unknown),
            remedy="Name rows of this benchmark, with commas between them.",
        )
    return tuple(row for row in benchmark.rows if not only or row.name in only)
