"""The first stage of a cascade, whose map of P(node) the second stage looks at."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.patient_digests import patient_digest
from lnmdetect.core.segmenter_config import SegmenterRecipe
from lnmdetect.core.wording import counted
from lnmdetect.datasets.label_cache import LabelledSeries
from lnmdetect.datasets.scan_windows import coarse_plane
from lnmdetect.io.bundles import Bundle, write_with_weights_of
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.run_files import save_array
from lnmdetect.stages.segment import COARSE, load_segmenter
from lnmdetect.stages.segment_scan import Segmenter, node_shares


@dataclass(frozen=True)
class FirstStage:
    """A trained segmenter at a coarser spacing, and the bundle it came from."""

    bundle: Bundle
    segmenter: Segmenter


def load_first_stage(model: str, device: str) -> FirstStage:
    """Return the first stage that `--coarse` names.

    Raises:
        ModelError: there is no such bundle, or it is damaged.
        UsageError: it is itself the second stage of a cascade.
        MissingExtraError: the extra `segmentation` is not installed.
    """
    bundle, segmenter = load_segmenter(model, device)
    assert isinstance(bundle.recipe, SegmenterRecipe)
    if bundle.recipe.model.coarse:
        raise UsageError(
            "--coarse",
            expected="a segmenter of one stage",
            got="the second stage of a cascade",
            remedy=f"Name a first stage, such as the folder {COARSE} within that bundle.",
        )
    return FirstStage(bundle, segmenter)


def require_unseen(first: FirstStage, held_out: Iterable[str]) -> None:
    """Do nothing where the first stage has not been trained on patients that are held out.

    Its map of them would be better than of any other patient, and the second stage's figures with
    it.

    Args:
        first: of the cascade.
        held_out: pseudonyms: of the validation, and of the fold that is not touched.

    Raises:
        InputError: it has.
    """
    seen = set(first.bundle.trained_on.patients_sha256) if first.bundle.trained_on else set()
    shared = len(seen & {patient_digest(patient) for patient in held_out})
    if shared:
        raise InputError(
            "--coarse",
            expected="a first stage that was not trained on the patients held out here",
            got=f"one that was trained on {counted(shared, 'of them', 'of them')}",
            remedy="Train both stages with the same truth, --seed, --folds and --fold.",
        )


def with_coarse(scan: LabelledSeries, store: PixelStore, first: FirstStage) -> LabelledSeries:
    """Return the series with P(node) of the first stage, written beside it unless it is there."""
    images, grid = scan.series.images, scan.series.grid
    path = scan.series.path.with_suffix(f".{first.bundle.sha256[:16]}.coarse.npy")
    if not path.is_file():
        shares = node_shares(images, lambda index: store.read(images[index]), first.segmenter)
        x1, y1, x2, y2 = grid.crop
        whole = replace(grid, crop=(0, 0, x2 - x1, y2 - y1))
        planes = [coarse_plane(share[y1:y2, x1:x2], whole) for share in shares]
        save_array(path, np.stack(planes))
    return replace(scan, coarse=path)


def keep_first_stage(first: FirstStage, bundle: Path) -> None:
    """Copy the first stage's bundle into that of the second, which cannot do without it."""
    card = (
        f"# The first stage of a cascade: bundle `{first.bundle.name}`\n\n"
        "Its map of P(node) is an input of the second stage. Research software, not a medical "
        "device.\n"
    )
    copy = replace(first.bundle, folder=bundle / COARSE)
    write_with_weights_of(first.bundle, copy, card, overwrite=True)
