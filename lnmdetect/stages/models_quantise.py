"""`lnmdetect models export --precision int8`: a detector calibrated on slices, as a new bundle."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.config import DetectorRecipe
from lnmdetect.core.config_parts import InputConfig
from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.patient_digests import PatientDigests
from lnmdetect.core.progress import Progress
from lnmdetect.core.quantised import INT8_BIN, INT8_XML, Quantised
from lnmdetect.datasets.detector_data import collate_detector
from lnmdetect.datasets.scan_slices import ScanSlices
from lnmdetect.io.bundles import Bundle, write_with_weights_of
from lnmdetect.io.cards import bundle_card
from lnmdetect.io.export_files import sha256_of_files, write_files
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.io.listed_scans import open_listed
from lnmdetect.io.openvino_engine import model_bytes
from lnmdetect.io.scan_handle import ScanSource
from lnmdetect.stages.bundle_output import bundle_name, patients_in_words, refuse_output
from lnmdetect.training.detector_task import DetectorTask
from lnmdetect.training.engines import quantised_dense_part

WHERE = "--precision int8"
SLICES = 100
"""On which ranges are measured; NNCF's own default is 300, and 100 gave the same figures here."""


@dataclass(frozen=True)
class Calibration:
    """On what an int8 form is calibrated.

    Attributes:
        data: truth.json whose images are drawn from.
        scan: where their pixels are; None takes the file's `info.scan_root`.
        slices: how many are drawn, at most.
        seed: by which.
    """

    data: Path
    scan: Path | None = None
    slices: int = SLICES
    seed: int = 0

    def __post_init__(self) -> None:
        if self.slices < 1:
            raise UsageError(
                "--calibration-slices",
                expected="at least 1",
                got=str(self.slices),
                remedy=f"Leave it out for {SLICES}.",
            )


def write_quantised_bundle(
    loaded: tuple[Bundle, DetectorTask],
    calibration: Calibration,
    output: Path,
    *,
    overwrite: bool,
    progress: Progress,
) -> Bundle:
    """Return the bundle that was written: the same weights, and beside them their int8 form.

    Args:
        loaded: a detector as it was trained.
        calibration: on what.
        output: folder of the new bundle.
        overwrite: whether another bundle there may be replaced.
        progress: watches the slices.

    Raises:
        InputError: the scans cannot be read, or no slice shows a patient.
        MissingExtraError: NNCF or OpenVINO is not installed.
        OutputError: the output holds a bundle, or is one that may not be written into.
        UsageError: the detector has no dense part that can be quantised.
    """
    bundle, task = loaded
    refuse_output(output, bundle, overwrite=overwrite)
    assert isinstance(bundle.recipe, DetectorRecipe)
    source = open_listed(calibration.data, root=calibration.scan)
    drawn = list(_drawn(source, bundle.recipe.input, calibration, progress))
    if not drawn:
        raise InputError(
            calibration.data.name,
            expected="slices that show a patient",
            got="none",
            remedy="Give the truth.json of scans of the neck.",
        )
    model = quantised_dense_part(task.module, [pixels for _, pixels in drawn], where=WHERE)
    files = dict(zip((INT8_XML, INT8_BIN), model_bytes(model), strict=True))
    patients = {patient for patient, _ in drawn}
    form = Quantised(
        sha256=sha256_of_files(files),
        slices=len(drawn),
        seed=calibration.seed,
        calibrated_on=patients_in_words(len(patients), "patient", is_phantom=source.is_phantom),
        patients=PatientDigests.of(patients, sha256_of_file(calibration.data)),
    )
    name = bundle_name(output, "detector")
    checked = tuple(one for one in bundle.checked if one.form.precision != "int8")
    written = replace(bundle, name=name, folder=output, checked=checked, quantised=form)
    write_files(output, files, overwrite=True)
    write_with_weights_of(bundle, written, bundle_card(written), overwrite=overwrite)
    return written


def _drawn(
    source: ScanSource, config: InputConfig, calibration: Calibration, progress: Progress
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield patient and image (1, C, H, W) of slices drawn from all, as detect gives them."""
    places = [(scan, index) for scan in source.scans for index in range(len(scan.images))]
    order = np.random.default_rng(calibration.seed).permutation(len(places))
    chosen = sorted(int(place) for place in order[: calibration.slices])
    slices: ScanSlices | None = None
    for place in progress.track(chosen, description="reading slices", total=len(chosen)):
        scan, index = places[place]
        if slices is None or slices.images is not scan.images:
            slices = ScanSlices(scan.images, scan.read_slice, config)
        if slices.shows_patient(index):
            images = collate_detector([slices.item(index)]).images
            yield scan.images[index].patient, images.numpy()
