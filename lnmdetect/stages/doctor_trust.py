"""Whether a scan is like those that a detector was trained on, and what it will take."""

from collections.abc import Iterator
from typing import Any

from lnmdetect.core.config import DetectorRecipe
from lnmdetect.core.scan_ranges import SCANS_SEEN, Range, ScanRanges, joined, ranges_from_json
from lnmdetect.io.bundle_config import Bundle
from lnmdetect.io.dicom_geometry import position_mm, slice_spacing_mm
from lnmdetect.io.dicom_series import Series
from lnmdetect.phantom.scan_plan import scan_ranges
from lnmdetect.stages.doctor_result import Expected, Finding
from lnmdetect.stages.doctor_series import usual
from lnmdetect.stages.doctor_tags import tag_findings
from lnmdetect.stages.scan_hounsfield import Sample
from lnmdetect.transforms.grid import mask_slice, plan_grid

USUAL_VIEW = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
NECK_MM: Range = (60.0, 450.0)
"""Less holds few nodes of a neck; more holds much that is no neck."""
ROUNDING = 0.02
"""By which a length may lie outside a range of others and still count as within."""
GAP_SHARE = 0.9
"""A slice thinner than this share of the step leaves tissue between slices unseen."""
START_SECONDS, START_MB = 4.0, 920
SECONDS_A_MEGAPIXEL, MEGABYTES_A_MEGAPIXEL = 0.40, 900.0
"""Of a quarter-width detector, one core, float32, per model pixel of a slice; measured."""
MEGABYTES_A_SLICE = 0.02
"""Of its headers and records; no scan is held as a whole."""
QUARTER = 0.25


def trained_ranges(bundle: Bundle) -> ScanRanges | None:
    """Return the ranges of the scans a bundle was trained on, None where it does not say."""
    if SCANS_SEEN in bundle.data:
        try:
            return ranges_from_json(bundle.data[SCANS_SEEN])
        except (ValueError, KeyError, TypeError):  # written by someone else
            return None
    phantoms: Any = bundle.data.get("phantoms") or ()
    settings = {entry.get("setting") for entry in phantoms if isinstance(entry, dict)}
    return joined(scan_ranges(name) for name in ("training", "lifelike") if name in settings)


def trust_findings(series: Series, bundle: Bundle) -> Iterator[Finding]:
    """Yield what of a sound series is unlike what the detector knows."""
    yield _overlap(series)
    yield _view(series)
    yield from tag_findings(series)
    yield _extent(series)
    yield from _ranges(series, bundle)
    yield _origin(series, bundle)


def _overlap(series: Series) -> Finding:
    thickness = usual(header.thickness_mm for header in series)
    step_mm = slice_spacing_mm(series)
    if thickness is None:
        return Finding(
            "overlap",
            "warning",
            "The slices do not tell their thickness.",
            "Compare it with the protocol; the steps between slices are known.",
        )
    said = f"Slices of {thickness:g} mm every {step_mm:.2f} mm"
    if len(series) > 1 and thickness < GAP_SHARE * step_mm:
        return Finding(
            "overlap",
            "warning",
            f"{said}: {step_mm - thickness:.1f} mm between slices were not imaged.",
            "Reconstruct with thicker slices or smaller steps; small nodes may lie between.",
        )
    lapped = thickness > step_mm * (1 + ROUNDING) and len(series) > 1
    return Finding("overlap", "ok", f"{said}{', overlapping' if lapped else ''}.")


def _view(series: Series) -> Finding:
    row_x, column_y = series[0].orientation[0], series[0].orientation[4]
    if row_x > 0 and column_y > 0:
        return Finding("view", "ok", "The slices are seen from the feet, front up, as usual.")
    return Finding(
        "view",
        "warning",
        "The slices are turned or mirrored against the usual view from the feet, front up.",
        "Turn them before detection: models look at pixels as they are stored.",
    )


def _extent(series: Series) -> Finding:
    extent = position_mm(series[-1]) - position_mm(series[0]) + slice_spacing_mm(series)
    said = f"The scan covers {extent:.0f} mm"
    if NECK_MM[0] <= extent <= NECK_MM[1]:
        return Finding("coverage", "ok", f"{said}.")
    what = "less than a neck" if extent < NECK_MM[0] else "more than head and neck"
    remedy = (
        "Nodes outside it are not found."
        if extent < NECK_MM[0]
        else "Boxes outside the neck mean nothing; give the neck's slices only."
    )
    return Finding("coverage", "warning", f"{said}, {what}.", remedy)


def _ranges(series: Series, bundle: Bundle) -> Iterator[Finding]:
    ranges = trained_ranges(bundle)
    if ranges is None:
        yield Finding(
            "training",
            "warning",
            f"Bundle {bundle.name} does not say which scans it was trained on.",
            "Compare spacing and field of view with your training data.",
        )
        return
    first = series[0]
    fields = [
        n * side for n, side in zip((first.rows, first.columns), first.spacing_mm, strict=True)
    ]
    yield _held("pixel spacing", list(first.spacing_mm), ranges.pixel_mm, "Pixels of {} mm")
    if len(series) > 1 and ranges.step_mm is not None:
        yield _held("slice step", [slice_spacing_mm(series)], ranges.step_mm, "Slices every {} mm")
    yield _held("field of view", fields, ranges.field_mm, "A field of view of {} mm")


def _held(check: str, lengths: list[float], seen: Range, said: str) -> Finding:
    """Return how lengths in mm lie to the range of the training scans."""
    named = said.format(" x ".join(dict.fromkeys(f"{length:.4g}" for length in lengths)))
    low, high = seen
    trained = f"training scans had {low:g} to {high:g} mm"
    if all(low * (1 - ROUNDING) <= length <= high * (1 + ROUNDING) for length in lengths):
        return Finding(check, "ok", f"{named}; {trained}.")
    return Finding(
        check,
        "warning",
        f"{named}; {trained}.",
        "Expect more misses and false boxes, or reconstruct the scan anew.",
    )


def _origin(series: Series, bundle: Bundle) -> Finding:
    if bundle.is_phantom and not series[0].is_phantom:
        return Finding(
            "model",
            "warning",
            f"Bundle {bundle.name} was trained on synthetic scans only, and this is none.",
            "It shows that the pipeline runs, not how well nodes are found; train on your own.",
        )
    kind = "synthetic" if bundle.is_phantom else "its owner's"
    return Finding("model", "ok", f"Bundle {bundle.name} was trained on {kind} scans.")


def expected_cost(series: Series, sample: Sample, bundle: Bundle) -> Expected:
    """Return what `detect` will take, from how much of three slices is patient."""
    recipe = bundle.recipe
    assert isinstance(recipe, DetectorRecipe)
    megapixels = _megapixels(series, sample, recipe)
    width = (recipe.model.width / QUARTER) ** 2
    seconds = START_SECONDS + len(series) * megapixels * SECONDS_A_MEGAPIXEL * width
    memory_mb = (
        START_MB + len(series) * MEGABYTES_A_SLICE + megapixels * MEGABYTES_A_MEGAPIXEL * width**0.5
    )
    return Expected(round(seconds, 1), round(memory_mb))


def _megapixels(series: Series, sample: Sample, recipe: DetectorRecipe) -> float:
    """Return the mean size of the slices that the network sees, 10^6 px."""
    spacing_mm = series[0].spacing_mm
    sizes = []
    for hu in sample:
        box = mask_slice(hu, spacing_mm, recipe.input)[1]
        height, width = plan_grid(box, spacing_mm, recipe.input.spacing_mm).size
        sizes.append(height * width / 1e6)
    return sum(sizes) / len(sizes)
