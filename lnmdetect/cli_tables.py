"""Results as text and rich tables."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from lnmdetect.core.wording import counted

if TYPE_CHECKING:
    from lnmdetect.core.segmenter_config import SegmentationPlan
    from lnmdetect.stages.anchor_coverage import Coverage, MissedNode, SetCoverage
    from lnmdetect.stages.baselines import BaselineResult
    from lnmdetect.stages.classify import ClassifyResult
    from lnmdetect.stages.detect_request import DetectResult
    from lnmdetect.stages.models import InstalledModel
    from lnmdetect.stages.models_check import CheckResult
    from lnmdetect.stages.models_export import ExportModelResult
    from lnmdetect.stages.overlay import OverlayResult
    from lnmdetect.stages.phantom import PhantomResult
    from lnmdetect.stages.phantom_insert import InsertResult
    from lnmdetect.stages.phantom_ultrasound import UltrasoundPhantomResult
    from lnmdetect.stages.training_run import TrainResult

_SHOWN_MISSES = 5


def detect_text(result: "DetectResult") -> str:
    """Return what was found, in two lines."""
    return (
        f"{counted(result.scans, 'scan')}, {counted(result.slices, 'slice')}: "
        f"{counted(result.boxes_above_threshold, 'box', 'boxes')} at the operating threshold "
        f"{result.threshold:.2f}\n"
        f"{result.output}: {counted(result.boxes, 'box', 'boxes')} scored 0.05 or more "
        f"({result.seconds:.1f} s)"
    )


def classify_text(result: "ClassifyResult") -> str:
    """Return what the boxes were called, in two lines."""
    return (
        f"At the operating threshold: {result.metastatic_above_threshold} metastatic, "
        f"{result.benign_above_threshold} benign (P(metastatic) {result.threshold:.2f} or more)\n"
        f"{result.output}: {counted(result.boxes, 'box', 'boxes')} classified "
        f"({result.seconds:.1f} s)"
    )


def overlay_text(result: "OverlayResult") -> str:
    """Return what was drawn, in a line."""
    drawn = f"{counted(result.slices, 'slice')}, {counted(result.boxes, 'box', 'boxes')}"
    truth = f", {counted(result.truth_boxes, 'truth box', 'truth boxes')}"
    return f"{result.output}: {drawn}{truth if result.truth_boxes else ''}"


def train_text(result: "TrainResult") -> str:
    """Return what a training reached, in two lines, and how long it waited for batches."""
    waited = result.loader_wait_share
    share = (
        ""
        if waited is None
        else f"\n{waited:.1%} of the time of the steps was spent waiting for batches"
    )
    return (
        f"Validation {result.metric} {result.reached:.3f} in epoch {result.kept_epoch}, which is "
        f"kept; operating threshold {result.threshold:.3f}\n"
        f"{result.bundle}: the model; {result.curves}: its learning curves"
        f"{share}"
    )


def plan_table(plan: "SegmentationPlan") -> Table:
    """Return what was planned from the training scans: the grid, the patch, the levels."""
    table = Table(
        title="Plan of the segmenter, z x row x column",
        caption="Saved as plan.json in the run's folder, and in the bundle",
        show_header=False,
    )
    sides_mm = [round(n * mm) for n, mm in zip(plan.patch, plan.spacing_mm, strict=True)]
    table.add_row("voxel", f"{_by(plan.spacing_mm)} mm")
    table.add_row("median scan", f"{_by(plan.median_shape)} voxels")
    table.add_row("patch", f"{_by(plan.patch)} voxels, {_by(sides_mm)} mm")
    table.add_row("memory of a step", f"{plan.memory_gb:.3g} GB, estimated")
    table.add_row("levels", str(len(plan.strides)))
    table.add_section()
    size = plan.patch
    for level, (stride, kernel) in enumerate(zip(plan.strides, plan.kernels, strict=True), start=1):
        size = (size[0] // stride[0], size[1] // stride[1], size[2] // stride[2])
        words = f"{_by(size)}, stride {_by(stride)}, kernel {_by(kernel)}"
        table.add_row(f"level {level}", words)
    return table


def _by(sides: Sequence[float]) -> str:
    return " x ".join(f"{side:g}" for side in sides)


def phantom_text(result: "PhantomResult") -> str:
    """Return what was made, in two lines."""
    return (
        f"{result.scan}: {counted(result.patients, 'phantom patient')}, "
        f"{counted(result.images, 'slice')}\n"
        f"{result.truth}: {counted(result.nodes, 'node')} in "
        f"{counted(result.cross_sections, 'cross-section')}"
    )


def ultrasound_phantom_text(result: "UltrasoundPhantomResult") -> str:
    """Return what was made, in two lines."""
    return (
        f"{result.images}: B-mode and CEUS of {counted(result.patients, 'phantom patient')}\n"
        f"{result.ultrasound}: {result.metastatic} metastatic, finding present in "
        f"{result.findings_present}"
    )


def inserted_text(result: "InsertResult") -> str:
    """Return what was inserted, in two lines."""
    return (
        f"{result.scan}: {counted(result.scans, 'scan')}, {counted(result.images, 'slice')}\n"
        f"{result.truth}: {result.nodes} of {counted(result.wanted, 'node')} inserted, "
        f"{counted(result.cross_sections, 'cross-section')}"
    )


def models_table(models: "Sequence[InstalledModel]") -> Table:
    """Return one row a bundle, with its default form and its first figure; --json has them all."""
    table = Table(title="Installed model bundles", caption="All figures: lnmdetect models --json")
    for name in ("stage", "--model", "recipe", "trained on", "form", "threshold", "validation"):
        table.add_column(name, no_wrap=True)
    for model in models:
        main = next((f"{key} {_figure(value)}" for key, value in model.figures.items()), "")
        trained = "phantoms" if model.is_phantom else "scans"
        form = ", ".join(_form(engine, used) for engine, used in model.precisions.items())
        cells = (model.arm, model.name, model.recipe, trained, form, f"{model.threshold:.3f}")
        table.add_row(*cells, main)
    return table


def _form(engine: str, precision: str) -> str:
    return precision if engine == "torch" else f"{precision} on {engine}"


def check_table(result: "CheckResult") -> Table:
    """Return one row a figure, in fp32 and in the form that was checked."""
    of = "phantom patients, phantom figures" if result.phantom else "patients"
    title = f"{result.arm} {result.model}, {result.patients} held-out {of}"
    table = Table(title=title, title_justify="left")
    table.add_column("Figure")
    for name in ("fp32 on torch", result.form, "moved", "held"):
        table.add_column(name, justify="right")
    for figure in result.figures:
        numbers = (f"{figure.exact:.4f}", f"{figure.other:.4f}", f"{figure.moved:+.4f}")
        table.add_row(figure.name, *numbers, "yes" if figure.held else "no")
    return table


def check_text(result: "CheckResult") -> str:
    """Return what was compared and where the bundle lies, in a line or two."""
    told = "each figure held within" if result.held else "a figure moved by more than"
    said = (
        f"{counted(result.images, 'image')}: {told} {result.tolerance}; fp32 took "
        f"{result.seconds_exact:.1f} s, {result.form} {result.seconds:.1f} s"
    )
    return said if result.bundle is None else f"{said}\n{result.bundle}: the new model"


def export_model_text(result: "ExportModelResult") -> str:
    """Return what was written, in a line."""
    named = f"{result.arm} {result.model}, {result.precision}"
    said = f"{result.output}: {named}; {', '.join(result.files)} ({result.megabytes:.1f} MB)"
    return f"{said}; calibrated on {counted(result.slices, 'slice')}" if result.bundle else said


def _figure(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def percent(share: float | None) -> str:
    """Return a share as text, a dash where there is none."""
    return "-" if share is None else f"{100 * share:.1f} %"


def coverage_table(sets: "Sequence[SetCoverage]") -> Table:
    """Return the coverage of each anchor set: by shape, on the grid, and on the grid by size."""
    table = Table(title=f"Best IoU with an anchor, {sets[0].on_grid.boxes} boxes")
    table.add_column("")
    for row in sets:
        table.add_column(row.name, justify="right")
    table.add_row("sizes, px", *(" ".join(f"{size:.3g}" for size in row.sizes_px) for row in sets))
    _add_coverage(table, "by shape", [row.by_shape for row in sets])
    _add_coverage(table, "on the grid", [row.on_grid for row in sets])
    for group, coverage in sets[0].by_size_mm.items():
        shares = (percent(row.by_size_mm[group].reached) for row in sets)
        table.add_row(f">= 0.5, {group} mm (n = {coverage.boxes})", *shares)
    return table


def _add_coverage(table: Table, name: str, coverages: "Sequence[Coverage]") -> None:
    means = ("-" if c.mean_iou is None else f"{c.mean_iou:.3f}" for c in coverages)
    table.add_section()
    table.add_row(f"{name}: mean", *means)
    table.add_row(">= 0.5", *(percent(c.reached) for c in coverages))
    table.add_row(">= 0.7", *(percent(c.positive) for c in coverages))


def recipe_text(recipe: Mapping[str, Any]) -> str:
    """Return a recipe as YAML under a line that says what it is."""
    from lnmdetect.io.recipes import recipe_yaml

    return f"As a recipe:\n{recipe_yaml(recipe).rstrip()}"


def missed_text(missed: "Sequence[MissedNode]") -> str:
    """Return which nodes no anchor of the fitted set reaches, the smallest few by name."""
    if not missed:
        return "A fitted anchor reaches every node (IoU >= 0.5 in one cross-section or more)."
    named = "; ".join(
        f"{node.patient} {node.node} ({node.short_axis_mm:.1f} mm, best IoU {node.best_iou:.2f})"
        for node in missed[:_SHOWN_MISSES]
    )
    more = f"; and {len(missed) - _SHOWN_MISSES} more" if len(missed) > _SHOWN_MISSES else ""
    return f"Nodes that no fitted anchor reaches ({len(missed)}): {named}{more}."


def baselines_table(result: "BaselineResult") -> Table:
    """Return what each simple method reaches, beside the limit for evaluation phantoms."""
    from lnmdetect.stages.baselines import LIMITS

    kind = "phantom figures" if result.phantom else "no phantom"
    counts = f"{counted(result.cross_sections, 'cross-section')}, {counted(result.slices, 'slice')}"
    table = Table(title=f"Without learning, {kind}: {counts}")
    for name in ("method", "figure", "value", "limit of a fair phantom"):
        table.add_column(name, justify="left" if name in ("method", "figure") else "right")
    for label, figures in (("AUC", result.auc), ("AP50", result.ap50)):
        for method, figure in figures.items():
            value = figure.reason if figure.value is None else f"{figure.value:.3f}"
            limit = f"{LIMITS[method]:.2f}" if method in LIMITS else ""
            table.add_row(method, label, value, limit)
    return table
