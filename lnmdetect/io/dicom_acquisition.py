"""How a slice was taken, told in known words only: free text in a header may name the patient."""

import re
from functools import lru_cache

from pydicom import Dataset

from lnmdetect.io.dicom_header import Acquisition
from lnmdetect.io.dicom_values import text, whole

OTHER = "other"
SHARP_KERNELS = re.compile(
    r"[BHIJ][67-9]\d[fhs]?|[BH][rlpv][67-9]\d[dfhs]?|FC[3-9]\d|BONE|BONEPLUS|LUNG|EDGE|ULTRA|YC|YD|YE"
)
"""Bone and lung kernels: their noise and raised edges hide soft tissue."""
_KERNELS = re.compile(
    r"[BHIJT]\d\d[fhmsu]?|[BHQ][rlpv]\d\d[dfhmsu]?|FC\d\d"  # Siemens; Canon
    r"|STANDARD|STND|SOFT|DETAIL|CHEST|BONE|BONEPLUS|LUNG|EDGE|ULTRA"  # GE
    r"|A|B|C|D|E|F|L|UA|UB|UC|YA|YB|YC|YD|YE"  # Philips
)
_NO_CONTRAST = re.compile(r"(no|none|without|w/o|ohne|nativ\w*|plain|0)\b.*", re.IGNORECASE)
_PHASES = (
    ("arterial", re.compile(r"arteri|\bart\b", re.IGNORECASE)),
    ("venous", re.compile(r"v[ei]n[oö]|portal|\bven\b|\bpv\b", re.IGNORECASE)),
    ("delayed", re.compile(r"delay|sp(?:ä|ae)t|\blate\b", re.IGNORECASE)),
    ("native", re.compile(r"nativ|plain|non.?contrast|w/o|\bohne\b", re.IGNORECASE)),
)


def acquisition_of(dataset: Dataset) -> Acquisition:
    """Return how a slice was taken."""
    described = " ".join(text(dataset, name) for name in ("SeriesDescription", "ProtocolName"))
    return Acquisition(
        number=whole(dataset, "AcquisitionNumber"),
        kernel=_known_kernel(text(dataset, "ConvolutionKernel")),
        contrast=_has_contrast(text(dataset, "ContrastBolusAgent")),
        phase=_phase(described),
    )


@lru_cache(maxsize=256)
def _known_kernel(written: str) -> str:
    # The first of several values is the kernel, others are its strength.
    first = written.split("\\")[0].strip()
    if not first:
        return ""
    return first if _KERNELS.fullmatch(first) else OTHER


@lru_cache(maxsize=256)
def _has_contrast(agent: str) -> bool | None:
    return not _NO_CONTRAST.fullmatch(agent) if agent else None


@lru_cache(maxsize=256)
def _phase(described: str) -> str:
    return next((name for name, words in _PHASES if words.search(described)), "")
