"""How a slice was taken, told in known words only: free text in a header may name the patient."""

import re
from functools import lru_cache

from pydicom import Dataset

from lnmdetect.io.dicom_contrast import contrast_of, phase_of
from lnmdetect.io.dicom_header import Acquisition
from lnmdetect.io.dicom_values import text, whole

OTHER = "other"
_KERNELS = re.compile(
    r"[BDHIJSTU]\d\d[a-z]?|[BHQSU][a-z]\d\d[a-z]?"  # Siemens: B30f, I31s; Br40d, Hr59u, Qr40
    r"|(?:HD ?)?(?:STANDARD|STND|STD|SOFT|DETAIL|DTL|CHEST|CHST|LUNG|EDGE|ULTRA|BONE ?(?:PLUS|\+)?)"
    r"|X?C[A-D]|[ABCDEFL]|U[A-D]|Y[A-E]|E[A-C]|S[A-C]"  # GE above; Philips
    r"|FC\d\d[A-Z]?(?:-[A-Z])?"  # Canon, Toshiba
    r"|[BCFH]_(?:V?SOFT|V?SHARP|SMOOTH|STD)_[A-D]{1,2}",  # United Imaging
    re.IGNORECASE,
)
_SHARP_KERNELS = re.compile(
    r"[BDHIJSTU][5-9]\d[a-z]?|[BHQSU][a-z][5-9]\d[a-z]?|Bl\d\d[a-z]?"
    r"|(?:HD ?)?(?:LUNG|EDGE|ULTRA|BONE ?(?:PLUS|\+)?)"
    r"|[DEL]|Y[A-E]"
    r"|FC[3578]\d[A-Z]?(?:-[A-Z])?"
    r"|[BCFH]_V?SHARP_[A-D]{1,2}",
    re.IGNORECASE,
)
"""For bone and lung: the second half of Siemens' scale and its lung family, Canon's series for
bone and lung (20, 40 and 60 are for the brain), what the others name so. Such noise and raised
edges hide soft tissue."""


def acquisition_of(dataset: Dataset) -> Acquisition:
    """Return how a slice was taken."""
    return Acquisition(
        number=whole(dataset, "AcquisitionNumber"),
        kernel=_known_kernel(text(dataset, "ConvolutionKernel")),
        contrast=contrast_of(dataset),
        phase=phase_of(dataset),
    )


def is_sharp(kernel: str) -> bool:
    """Return whether a kernel is one for bone or lung."""
    return _SHARP_KERNELS.fullmatch(kernel) is not None


@lru_cache(maxsize=256)
def _known_kernel(written: str) -> str:
    # The first of several values is the kernel, others are its strength.
    first = written.split("\\")[0].strip()
    if not first:
        return ""
    return first if _KERNELS.fullmatch(first) else OTHER
