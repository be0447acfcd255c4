"""Where a fusion network looks: a picture a case, galleries of right and of wrong calls.

`fuse --explain` draws them rather than `explain`, whose checks hold heat against a node's mask on
CT: here the model, the images and the answers are at hand already, and there is no mask.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from lnmdetect import __version__
from lnmdetect.core.errors import OutputError, UsageError
from lnmdetect.core.fused import FusedCase, FusedDataset
from lnmdetect.core.fusion_config import FusionConfig, FusionRecipe
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.wording import counted
from lnmdetect.datasets.fusion_data import LABELS, spread_frames
from lnmdetect.io.bundles import Bundle
from lnmdetect.io.figures_fusion import (
    FusedPicture,
    HeatView,
    write_case_picture,
    write_gallery,
)
from lnmdetect.io.input_files import printable
from lnmdetect.io.json_files import remove_output, require_folder
from lnmdetect.io.ultrasound_pixels import read_frame
from lnmdetect.stages.fuse_cases import CASES_A_BATCH, case_batches, item_reader
from lnmdetect.stages.fuse_result import Drawn
from lnmdetect.training.classifier_heat import NAMES
from lnmdetect.training.devices import Compute
from lnmdetect.training.engine import predict
from lnmdetect.training.fusion_heat import FusionHeat
from lnmdetect.training.fusion_task import FusionTask
from lnmdetect.transforms.heat import Heat
from lnmdetect.transforms.ultrasound_square import from_square

GALLERY_CASES = 12
GALLERIES: Mapping[bool, str] = {True: "correct.png", False: "wrong.png"}
TITLES: Mapping[str, str] = {"bmode": "B-mode", "ceus": "CEUS"}
_PICTURES = "case-*.png"
_NAME_LENGTH = 24


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Return nothing where pictures may be written; to be asked before the work.

    Raises:
        OutputError: the folder holds those of an earlier run and `overwrite` is not set, or cannot
            be written.
    """
    require_folder(folder)
    if _earlier(folder) and not overwrite:
        raise OutputError(
            folder.name,
            expected="a folder without pictures of another run",
            got=counted(len(_earlier(folder)), "picture"),
            remedy="Give --overwrite to replace them, or name another folder.",
        )


def explained_images(model: FusionConfig, without: Sequence[str]) -> tuple[str, ...]:
    """Return the image modalities whose branches can be explained.

    Raises:
        UsageError: there are none.
    """
    images = tuple(name for name in model.images if name not in without)
    if images:
        return images
    raise UsageError(
        "--explain",
        expected="a model that is asked for images",
        got="one that answers from the finding alone",
        remedy="Leave --explain out.",
    )


def explain_fused(
    fused: FusedDataset,
    bundle: Bundle,
    task: FusionTask,
    root: Path,
    folder: Path,
    *,
    progress: Progress = SILENT,
) -> Drawn:
    """Return what was drawn: a PNG a case with an image, and the galleries.

    Args:
        fused: the cases with their answers.
        bundle: that gave them.
        task: of the bundle, ready to predict.
        root: folder from which the images' file names start.
        folder: gets the pictures; earlier ones go.
        progress: told about each case.

    Raises:
        InputError: an image cannot be read.
        OutputError: the folder cannot be written.
    """
    assert isinstance(bundle.recipe, FusionRecipe)
    model = bundle.recipe.model
    modalities = explained_images(model, fused.without)
    explainers = {name: FusionHeat(task, name, model) for name in modalities}
    for path in _earlier(folder):
        remove_output(path)
    hung = {right: gallery_cases(fused, is_right=right) for right in GALLERIES}
    wanted = {id(one) for cases in hung.values() for one in cases}
    footer, kept, count = _footer(fused), dict[int, FusedPicture](), 0
    pictures = _pictures(fused, explainers, model, root)
    for number, (one, picture) in enumerate(
        progress.track(pictures, description="explaining", total=len(fused.cases)), start=1
    ):
        if picture.views:
            path = folder / f"case-{number:05d}.png"
            write_case_picture(picture, path, footer=footer, overwrite=True)
            count += 1
        if id(one) in wanted:
            kept[id(one)] = picture
    written = []
    for right, cases in hung.items():
        if cases:
            write_gallery(
                _sections(fused, cases, kept, is_right=right),
                folder / GALLERIES[right],
                modalities={name: TITLES[name] for name in modalities},
                title=_gallery_title(fused, is_right=right),
                sentences=[*_explained(fused, explainers), footer],
                overwrite=True,
            )
            written.append(GALLERIES[right])
    return Drawn(count, tuple(written))


def _earlier(folder: Path) -> list[Path]:
    galleries = [folder / name for name in GALLERIES.values()]
    return [*filter(Path.exists, galleries), *sorted(folder.glob(_PICTURES))]


def gallery_cases(
    fused: FusedDataset, *, is_right: bool, count: int = GALLERY_CASES
) -> list[FusedCase]:
    """Return at most `count` cases that are called right (or wrong): the surest of each pathology.

    By halves where both have enough; metastatic ones first.
    """
    called = [one for one in fused.cases if fused.is_right(one) is is_right]
    surest = sorted(called, key=lambda one: -_probability_of_call(fused, one))
    by_label = [[one for one in surest if one.case.label == label] for label in reversed(LABELS)]
    in_turn = [one for one in chain(*zip_longest(*by_label)) if one is not None][:count]
    return sorted(in_turn, key=lambda one: LABELS[::-1].index(str(one.case.label)))


def _probability_of_call(fused: FusedDataset, one: FusedCase) -> float:
    is_metastatic = fused.called(one) == "metastatic"
    return one.probability if is_metastatic else 1 - one.probability


def _pictures(
    fused: FusedDataset, explainers: Mapping[str, FusionHeat], model: FusionConfig, root: Path
) -> Iterator[tuple[FusedCase, FusedPicture]]:
    """Yield each case with its picture; heat is computed for some cases at once."""
    read = item_reader(root, model, fused.without)
    for first in range(0, len(fused.cases), CASES_A_BATCH):
        part = fused.cases[first : first + CASES_A_BATCH]
        views: list[dict[str, HeatView]] = [{} for _ in part]
        for modality, heat in explainers.items():
            places = [i for i, one in enumerate(part) if modality in one.modalities_used]
            cases = [part[place].case for place in places]
            labels = [LABELS.index(fused.called(part[place])) for place in places]
            found = predict(heat, case_batches(cases, read, labels), Compute(heat.task.device))
            for place, frames in zip(places, found, strict=True):
                views[place][modality] = _view(part[place], modality, frames, root)
        for one, seen in zip(part, views, strict=True):
            yield one, _picture(fused, one, seen)


def _view(one: FusedCase, modality: str, frames: Heat, root: Path) -> HeatView:
    """Return an image with what speaks for the call in it; of several frames the hottest.

    Args:
        one: the case.
        modality: of the image.
        frames: (F, S, S) signed heat of the frames that the network saw.
        root: folder from which the images' file names start.
    """
    positive = np.clip(frames, 0, None)
    hottest = int(positive.sum(axis=(1, 2)).argmax())
    listed = one.case.ceus if modality == "ceus" else (one.case.bmode,)
    number = spread_frames(len(listed), len(frames))[hottest]
    place = listed[number]
    assert place is not None  # the answer rests on it
    pixels = read_frame(root, place)
    heat = positive[hottest] / max(float(positive[hottest].max()), 1e-12)
    title = TITLES[modality]
    if len(listed) > 1:
        title = f"{title}, frame {number + 1} of {len(listed)}"
    on_image = from_square(heat.astype(np.float32), (pixels.shape[0], pixels.shape[1]))
    return HeatView(title, pixels, on_image)


def _picture(fused: FusedDataset, one: FusedCase, views: Mapping[str, HeatView]) -> FusedPicture:
    case = one.case
    used = ", ".join(TITLES.get(name, name) for name in one.modalities_used)
    is_used = "finding" in one.modalities_used or case.finding == "unknown"
    return FusedPicture(
        views=views,
        name=printable(case.case_id)[:_NAME_LENGTH],
        called=fused.called(one),
        pathology=case.label,
        probability=one.probability,
        threshold=fused.threshold,
        finding=f"finding {case.finding}" if is_used else "finding not used",
        rests_on=used,
        is_right=fused.is_right(one),
    )


def _sections(
    fused: FusedDataset,
    hung: Sequence[FusedCase],
    pictures: Mapping[int, FusedPicture],
    *,
    is_right: bool,
) -> dict[str, list[FusedPicture]]:
    """Return a gallery's pictures by pathology, under words that tell how many there are."""
    sections: dict[str, list[FusedPicture]] = {}
    for label in reversed(LABELS):
        shown = [pictures[id(one)] for one in hung if one.case.label == label]
        of = sum(fused.is_right(one) is is_right and one.case.label == label for one in fused.cases)
        which = f"all {of}" if len(shown) == of else f"the surest {len(shown)} of {of}"
        if shown:
            sections[f"Pathology {label}: {which}"] = shown
    return sections


def _gallery_title(fused: FusedDataset, *, is_right: bool) -> str:
    verdict = "right" if is_right else "wrong"
    of = sum(fused.is_right(one) is is_right for one in fused.cases)
    labelled = sum(one.case.label is not None for one in fused.cases)
    return f"Cases called {verdict}: {of} of {labelled} whose pathology is known"


def _explained(fused: FusedDataset, explainers: Mapping[str, FusionHeat]) -> Iterator[str]:
    """Yield how cases are called, and how heat is made."""
    where = "beside" if len(explainers) == 1 else "below"
    maps = {
        "{1} × {2} cells of {0}".format(heat.stage.layer, *heat.stage.cells)
        for heat in explainers.values()
    }
    yield f"A case is called metastatic from P(metastatic) {fused.threshold:.3f} on."
    yield (
        f"Heat {where} each image: what in it speaks for the call, by {NAMES['gradcam']} of the "
        f"call's log odds over the {' or '.join(sorted(maps))} of the image's own branch. It is "
        "a share of the image's own hottest place, so it does not compare images."
    )


def _footer(fused: FusedDataset) -> str:
    parts = [
        f"lnmdetect {__version__}",
        *(["phantom"] if fused.is_phantom else []),
        f"fusion {fused.info['fusion']['name']}"
        + (", trained on phantoms" if fused.of_phantom_model else ""),
        "research only, not for diagnosis",
    ]
    return " · ".join(parts)
