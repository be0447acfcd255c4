"""A benchmark's table for a terminal, as Markdown and as CSV."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lnmdetect.core.benchmark_config import COSTS, FIGURES, Cost
from lnmdetect.core.wording import counted
from lnmdetect.metrics.correlation import Correlation
from lnmdetect.metrics.figure import Figure
from lnmdetect.stages.benchmark_chance import CHANCE
from lnmdetect.stages.benchmark_result import BenchmarkResult, TableRow

PUBLISHED = "published (other data)"
NETWORK = "network as published"
NAMES = {
    "ap50": "AP50",
    "ap": "AP 50:95",
    "sensitivity_at_1_fp_per_image": "sensitivity at 1 FP an image",
    "auc": "AUC",
    "accuracy": "accuracy",
    "tpr": "TPR",
    "tnr": "TNR",
    "ppv": "PPV",
    "npv": "NPV",
}
_DASH = "-"
IN_BRACKETS = (
    "In brackets beside parameters and depth: the network as published, at full width with 1000 "
    "classes."
)
Column = tuple[str, Callable[[TableRow], str]]


def figure_columns(result: BenchmarkResult) -> list[Column]:
    """Return what the table of figures shows: a heading, and the cell of a row."""
    first, *others = FIGURES[result.info.arm]
    columns: list[Column] = [
        ("model", lambda row: row.row.label),
        (NAMES[first], lambda row: _cell(row, row.figures.get(first))),
        (PUBLISHED, _published),
        *((NAMES[name], _figure_of(name)) for name in others),
        (f"proposed − this, {NAMES[first]}", lambda row: _signed(row.difference.get(first))),
    ]
    if result.info.arm == "detector":  # an AUC's distance from 0.5 can be read off
        columns.append(
            (f"this − chance, {NAMES[first]}", lambda row: _signed(row.over_chance.get(first)))
        )
    if result.info.steps:
        columns.append((f"this − row above, {NAMES[first]}", lambda r: _signed(r.step.get(first))))
    return columns


def cost_columns(result: BenchmarkResult) -> list[Column]:
    """Return what the table of costs shows, as `figure_columns`."""
    unit = "slice" if result.info.arm == "detector" else "crop"
    return [
        ("model", lambda row: row.row.label),
        ("validation", _validation),
        ("parameters, M", lambda row: _beside(row, _millions(row), "parameters_m")),
        ("depth", lambda row: _beside(row, _of(row, "depth"), "depth")),
        ("training, min", lambda row: _of(row, "training_minutes")),
        ("steps", lambda row: _of(row, "steps")),
        (f"ms a {unit}", lambda row: _of(row, "inference_ms")),
        ("labelled override", lambda row: row.row.overridden or _DASH),
    ]


def benchmark_tables(result: BenchmarkResult) -> RenderableType:
    """Return both tables, the correlations and the notes, for a terminal."""
    parts: list[RenderableType] = []
    for title, columns in _both(result):
        table = Table(title=title, title_justify="left")
        for place, (name, _) in enumerate(columns):
            table.add_column(name, justify="right" if place else "left")
        for row in result.rows:
            table.add_row(*(cell(row) for _, cell in columns))
        parts.append(table)
    return Group(*parts, *(Text(line) for line in below(result)))


def markdown(result: BenchmarkResult) -> str:
    """Return both tables, the correlations and the notes as Markdown."""
    lines = [f"# {titled(result)}", ""]
    for title, columns in _both(result):
        lines += [f"**{title}**", "", *_markdown_table(columns, result.rows), ""]
    lines += [f"- {line}" for line in below(result)]
    for row in result.rows:
        told = " ".join(filter(None, (row.row.note, row.row.published_note)))
        if told:
            lines.append(f"- {row.row.label}: {told}")
    return "\n".join(lines) + "\n"


def _markdown_table(columns: Sequence[Column], rows: Sequence[TableRow]) -> Iterator[str]:
    yield "| " + " | ".join(name for name, _ in columns) + " |"
    yield "|" + " --- |" * len(columns)
    for row in rows:
        yield "| " + " | ".join(cell(row).replace("|", "/") for _, cell in columns) + " |"


def titled(result: BenchmarkResult) -> str:
    """Return the title, which says where figures are of phantoms."""
    return f"{result.info.title}{', phantom figures' if result.info.phantom else ''}"


def _both(result: BenchmarkResult) -> Iterator[tuple[str, list[Column]]]:
    info = result.info
    tested = f"{counted(info.test_patients, 'test patient')}, {counted(info.test_images, 'image')}"
    yield f"{titled(result)}: {tested}", figure_columns(result)
    yield f"What each costs ({info.machine['device']})", cost_columns(result)


def below(result: BenchmarkResult) -> Iterator[str]:
    """Give the lines that stand below the tables."""
    yield from chance_texts(result)
    for with_what, found in result.correlations.items():
        yield correlation_text(NAMES[FIGURES[result.info.arm][0]], with_what, found)
    if result.correlations:
        yield from _unequal_steps(result)
    if any(row.row.network for row in result.rows):
        yield IN_BRACKETS
    for row in result.rows:
        if row.result is not None and row.result.error:
            yield f"{row.row.label} failed: {row.result.error}"
    yield from result.info.notes


def chance_texts(result: BenchmarkResult) -> Iterator[str]:
    """Give what chance is here, and the rows that are not shown to be better."""
    arm = result.info.arm
    done = [row for row in result.rows if row.status == "done"]
    if not done:
        return
    over = {row.row.label: row.over_chance[FIGURES[arm][0]].interval for row in done}
    unsure = [label for label, interval in over.items() if interval and interval[0] <= 0]
    unknown = [label for label, interval in over.items() if interval is None]
    verdicts = []
    if unsure:
        verdicts.append(f"not shown to be better (95 % interval): {', '.join(unsure)}")
    if unknown:
        verdicts.append(f"no interval to tell by: {', '.join(unknown)}")
    if len(unsure) + len(unknown) < len(done):
        others = "all others that were run" if verdicts else "every row that was run"
        verdicts.append(f"better, with the whole interval: {others}")
    yield f"Chance, {CHANCE[arm]}: {'; '.join(verdicts)}."


def _unequal_steps(result: BenchmarkResult) -> Iterator[str]:
    steps = [row.result.steps for row in result.rows if row.result and row.result.steps]
    if steps and min(steps) != max(steps):
        yield (
            f"The models took {min(steps)} to {max(steps)} training steps: the correlations are of "
            "networks trained unequally long."
        )


def correlation_text(figure: str, with_what: str, found: Correlation) -> str:
    """Return a correlation as one sentence."""
    head = f"Spearman's correlation of {figure} with {with_what}, {found.n} models"
    if found.rho is None:
        return f"{head}: none, {found.reason}."
    return f"{head}: rho = {found.rho:.2f}, p = {found.p_value:.2g} ({found.method})."


def csv_rows(result: BenchmarkResult) -> list[dict[str, object]]:
    """Return one flat row a model; figures with the ends of their intervals."""
    return [_csv_row(result, row) for row in result.rows]


def _csv_row(result: BenchmarkResult, row: TableRow) -> dict[str, object]:
    names = FIGURES[result.info.arm]
    flat: dict[str, object] = {
        "benchmark": result.info.benchmark,
        "name": row.row.name,
        "label": row.row.label,
        "status": row.status,
        "phantom": str(result.info.phantom).lower(),
    }
    for name in names:
        flat |= _flat(name, row.figures.get(name))
        flat[f"{PUBLISHED}: {name}"] = row.row.published.get(name)
    flat |= _flat(f"this - chance: {names[0]}", row.over_chance.get(names[0]))
    flat |= _flat(f"proposed - this: {names[0]}", row.difference.get(names[0]))
    flat |= _flat(f"this - row above: {names[0]}", row.step.get(names[0]))
    for name in ("parameters", "depth", "training_minutes", "steps", "epochs", "inference_ms"):
        flat[name] = None if row.result is None else getattr(row.result, name)
    for name in COSTS:
        flat[f"{NETWORK}: {name}"] = row.row.network.get(name)
    validation: Mapping[str, float] = {} if row.result is None else row.result.validation
    flat[f"validation {names[0]}"] = validation.get(names[0])
    flat["labelled override"] = row.row.overridden
    return flat


def _flat(name: str, figure: Figure | None) -> dict[str, object]:
    low, high = (None, None) if figure is None or figure.interval is None else figure.interval
    value = None if figure is None else figure.value
    return {name: value, f"{name} low": low, f"{name} high": high}


def _figure_of(name: str) -> Callable[[TableRow], str]:
    return lambda row: _cell(row, row.figures.get(name))


def _cell(row: TableRow, figure: Figure | None) -> str:
    if figure is None:
        return row.status if row.status != "done" else _DASH
    return _text(figure, "{:.3f}")


def _signed(figure: Figure | None) -> str:
    return _DASH if figure is None else _text(figure, "{:+.3f}")


def _text(figure: Figure, form: str) -> str:
    if figure.value is None:
        return "undefined"
    value = form.format(figure.value)
    if figure.interval is None:
        return value
    return f"{value} ({form.format(figure.interval[0])} to {form.format(figure.interval[1])})"


def _published(row: TableRow) -> str:
    """Return the paper's figures; of those that it prints but we do not know, their names."""
    printed = row.row.published
    known = [f"{NAMES[name]} {value:.3f}" for name, value in printed.items() if value is not None]
    unknown = [NAMES[name] for name, value in printed.items() if value is None]
    if unknown:
        known.append(f"{', '.join(unknown)}: not known here")
    return "; ".join(known) or "not in the paper"


def _validation(row: TableRow) -> str:
    if row.result is None or not row.result.validation:
        return _DASH
    return ", ".join(f"{NAMES[name]} {v:.3f}" for name, v in row.result.validation.items())


def _of(row: TableRow, name: str) -> str:
    value = None if row.result is None else getattr(row.result, name)
    return _DASH if value is None else f"{value:g}"


def _millions(row: TableRow) -> str:
    if row.result is None or row.result.parameters is None:
        return _DASH
    return f"{row.result.parameters / 1e6:.2f}"


def _beside(row: TableRow, own: str, name: Cost) -> str:
    """Return our number, with the published network's in brackets where it is known."""
    published = row.row.network.get(name)
    return own if published is None else f"{own} ({published:g})"
