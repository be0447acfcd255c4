"""What the headers of a sound series say, lack or contradict, as findings."""

from collections.abc import Iterator

from lnmdetect.io.dicom_acquisition import OTHER, is_sharp
from lnmdetect.io.dicom_series import Series, says_native
from lnmdetect.stages.doctor_result import Finding


def tag_findings(series: Series) -> Iterator[Finding]:
    """Yield what the headers say of contrast, kernel, rescaling and identity."""
    yield _contrast(series)
    yield _kernel(series)
    yield _rescale(series)
    yield _identity(series)


def _contrast(series: Series) -> Finding:
    said = [h.acquisition.contrast for h in series if h.acquisition.contrast is not None]
    phases = {header.acquisition.phase for header in series} - {""}
    if any(map(says_native, series)):
        return Finding(
            "contrast",
            "warning",
            "The headers say that no contrast was given.",
            "Nodes and vessels look alike without it; choose an enhanced series with --series.",
        )
    if not said and not phases:
        return Finding(
            "contrast",
            "warning",
            "The headers do not say whether contrast was given.",
            "The models are for enhanced neck CT; look at the vessels.",
        )
    phase = f", phase {' and '.join(sorted(phases))}" if phases else ""
    return Finding("contrast", "ok", f"Contrast was given{phase}.")


def _kernel(series: Series) -> Finding:
    kernels = sorted({header.acquisition.kernel for header in series} - {""})
    sharp = [kernel for kernel in kernels if is_sharp(kernel)]
    if sharp:
        return Finding(
            "kernel",
            "warning",
            f"Kernel {', '.join(sharp)} is sharp, for bone or lung.",
            "Choose a soft-tissue reconstruction with --series.",
        )
    if OTHER in kernels:
        return Finding(
            "kernel",
            "warning",
            "The headers name a kernel that is not known here.",
            "See in the protocol that it is one for soft tissue, or choose one with --series.",
        )
    if not kernels:
        return Finding("kernel", "ok", "The headers do not name the kernel.")
    return Finding("kernel", "ok", f"Kernel {', '.join(kernels)} is no bone or lung kernel.")


def _rescale(series: Series) -> Finding:
    kinds = {(header.slope, header.intercept) for header in series}
    if len(kinds) == 1:
        return Finding("rescale", "ok", "All slices have one slope and intercept.")
    return Finding(
        "rescale",
        "warning",
        f"The slices have {len(kinds)} different slopes and intercepts.",
        "Look whether all are equally bright at one window; if not, export the series again.",
    )


def _identity(series: Series) -> Finding:
    absent = [
        name
        for name, lacks in (
            ("patient id", not all(header.patient_id for header in series)),
            # The series' uid stands in where a study has none.
            ("study uid", any(header.study_uid == header.series_uid for header in series)),
        )
        if lacks
    ]
    if not absent:
        return Finding("identity", "ok", "A patient id and a study uid are there for results.")
    return Finding(
        "identity",
        "warning",
        f"Slices have no {' and no '.join(absent)}.",
        "Export with them before results go to a PACS: without a study uid none are written, "
        "without a patient id they are filed under nobody.",
    )
