"""What DICOM costs: a slice from file to the network's input, by transfer syntax."""

import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from lnmdetect.core.config_parts import InputConfig
from lnmdetect.core.precision import InferenceForm
from lnmdetect.datasets.scan_slices import scan_batches
from lnmdetect.io.dicom_compress import write_compressed
from lnmdetect.io.scan_source import open_source
from lnmdetect.stages.speed_detector import form_work
from lnmdetect.stages.speed_request import SpeedRun
from lnmdetect.stages.speed_result import Bar, SpeedRow
from lnmdetect.stages.speed_rounds import Candidate, Work
from lnmdetect.stages.speed_rows import Comparison, milliseconds
from lnmdetect.stages.speed_scans import write_scan

SLICES = 16
BAR = Bar(0.02, "at_most")
DETECTION = "detection"
SHARE = Comparison("dicom", DETECTION, "share of the detection of a slice", kind="longer")
SYNTAXES: Mapping[str, tuple[UID, str]] = {
    "uncompressed": (ExplicitVRLittleEndian, "uncompressed"),
    "rle": (RLELossless, "RLE"),
    "jpeg_lossless": (JPEGLosslessSV1, "JPEG lossless"),
    "jpeg_ls": (JPEGLSLossless, "JPEG-LS lossless"),
    "jpeg_2000": (JPEG2000Lossless, "JPEG 2000 lossless"),
}


def dicom_rows(run: SpeedRun) -> Iterator[SpeedRow]:
    """Yield the detection of a slice, the reference, and the way of a slice to it."""
    folder = run.place("dicom")
    files = write_scan(run.volume, folder / "written", SLICES)

    def prepare(name: str) -> Work:
        write_compressed(files, folder / name, SYNTAXES[name][0])
        return _front_end(folder / name, run.plan.detector.input)

    candidates = [
        Candidate(DETECTION, partial(form_work, run.plan, InferenceForm())),
        *(Candidate(name, partial(prepare, name)) for name in SYNTAXES),
    ]
    rounds = run.timed(candidates, what="DICOM")
    facts = milliseconds(rounds, DETECTION, "slice")
    yield SHARE.row(rounds, DETECTION, "lnmdetect, fp32 on torch: detection", facts=facts)
    for name, (_, label) in SYNTAXES.items():
        bar = BAR if name == "uncompressed" else None
        facts = milliseconds(rounds, name, "slice")
        yield SHARE.row(rounds, name, f"headers, pixels, HU, window: {label}", bar=bar, facts=facts)


def _front_end(scan: Path, config: InputConfig) -> Work:
    """Return the seconds of one slice of a scan, from opening the folder on."""

    def work() -> float:
        begun = time.perf_counter()
        (handle,) = open_source(scan).scans
        count = sum(1 for _ in scan_batches(handle.images, handle.read_slice, config))
        return (time.perf_counter() - begun) / count

    return work
