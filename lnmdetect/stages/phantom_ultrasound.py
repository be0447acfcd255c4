"""`lnmdetect phantom ultrasound`: synthetic carcinomas in B-mode and CEUS, with their findings."""

from dataclasses import dataclass
from pathlib import Path

from lnmdetect import __version__
from lnmdetect.core.errors import OutputError, UsageError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.ultrasound import ImagePlace, UltrasoundCase, UltrasoundDataset
from lnmdetect.core.wording import counted
from lnmdetect.io.grey_png import write_grey_png
from lnmdetect.io.json_files import refuse_existing, remove_output
from lnmdetect.io.ultrasound_files import ULTRASOUND, write_ultrasound
from lnmdetect.phantom.ultrasound import UltrasoundPhantom, make_ultrasound
from lnmdetect.stages.phantom import PATIENT_PREFIX, made_in_parallel

IMAGES = "images"
MAX_CEUS_FRAMES = 15


@dataclass(frozen=True)
class UltrasoundPhantomRequest:
    """What to make.

    Attributes:
        patients: how many, of one case each. seed: the same seed gives the same bytes.
        output: folder that receives images/ and ultrasound.json.
        ceus_frames: CEUS frames a case; of several the middle one is the peak's.
        workers: processes; None takes all cores. The bytes do not depend on it.
    """

    patients: int
    seed: int
    output: Path
    ceus_frames: int = 1
    overwrite: bool = False
    workers: int | None = None


@dataclass(frozen=True)
class UltrasoundPhantomResult:
    """What was made: the file, the folder of its images, and counts."""

    ultrasound: Path
    images: Path
    patients: int
    metastatic: int
    findings_present: int


def make_ultrasound_phantoms(
    request: UltrasoundPhantomRequest, progress: Progress = SILENT
) -> UltrasoundPhantomResult:
    """Return what was written: `output`/images/*.png and `output`/ultrasound.json.

    Raises:
        UsageError: fewer than one patient or frame, too many frames, or a negative seed.
        OutputError: the folder already holds phantoms and `overwrite` is not set, holds other
            images, or cannot be written.
    """
    _check(request)
    _clear(request)
    jobs = [(request, index) for index in range(request.patients)]
    cases = tuple(
        progress.track(
            made_in_parallel(_make_one, jobs, request.workers),
            description="Phantoms",
            total=len(jobs),
        )
    )
    info = {
        "description": "lnmdetect ultrasound phantom: synthetic, not a person",
        "lnmdetect_version": __version__,
        "phantom": True,
        "seed": request.seed,
    }
    path = request.output / ULTRASOUND
    write_ultrasound(UltrasoundDataset(info, cases), path, overwrite=request.overwrite)
    return UltrasoundPhantomResult(
        path,
        request.output / IMAGES,
        request.patients,
        metastatic=sum(case.label == "metastatic" for case in cases),
        findings_present=sum(case.finding == "present" for case in cases),
    )


def _check(request: UltrasoundPhantomRequest) -> None:
    if request.patients < 1 or request.seed < 0:
        raise UsageError(
            "phantom",
            expected="one patient or more and a seed of 0 or more",
            got=f"{request.patients} patients, seed {request.seed}",
            remedy="Change --patients or --seed.",
        )
    if not 1 <= request.ceus_frames <= MAX_CEUS_FRAMES:
        raise UsageError(
            "--ceus-frames",
            expected=f"1 to {MAX_CEUS_FRAMES} frames a case",
            got=str(request.ceus_frames),
            remedy="One is the frame at the peak; several lie around it.",
        )


def _clear(request: UltrasoundPhantomRequest) -> None:
    """Take away what an earlier run left, the file first: it stands for whole images.

    Raises:
        OutputError: there is something, and `overwrite` is not set or no phantom run made it.
    """
    path, images = request.output / ULTRASOUND, request.output / IMAGES
    refuse_existing(path, overwrite=True)
    earlier = sorted(images.glob("[!.]*"))
    if not earlier and not path.exists():
        return
    if not request.overwrite:
        raise OutputError(
            request.output.name,
            expected=f"a folder without {IMAGES}/ and {ULTRASOUND}",
            got="earlier ones",
            remedy="Choose another --output, or replace them with --overwrite.",
        )
    foreign = [file for file in earlier if not file.name.startswith(f"{PATIENT_PREFIX}-us-")]
    if foreign:
        raise OutputError(
            f"{request.output.name}/{IMAGES}",
            expected="nothing but earlier phantoms",
            got=counted(len(foreign), "other file or folder", "other files or folders"),
            remedy="Take them out, or choose another --output.",
        )
    remove_output(path)
    for file in earlier:
        remove_output(file)


def _make_one(job: tuple[UltrasoundPhantomRequest, int]) -> UltrasoundCase:
    request, index = job
    made = make_ultrasound(request.seed, index, ceus_frames=request.ceus_frames)
    name = f"{PATIENT_PREFIX}-us-{request.seed}-{index:04d}"
    bmode, *ceus = _place_names(name, request.ceus_frames)
    for place, pixels in zip((bmode, *ceus), (made.bmode, *made.ceus), strict=True):
        write_grey_png(pixels, request.output / place.file_name)
    return _case(made, name, bmode, tuple(ceus))


def _place_names(name: str, frames: int) -> list[ImagePlace]:
    numbers = [""] if frames == 1 else [f"-{number}" for number in range(1, frames + 1)]
    parts = ["bmode", *(f"ceus{number}" for number in numbers)]
    return [ImagePlace(f"{IMAGES}/{name}_{part}.png") for part in parts]


def _case(
    made: UltrasoundPhantom, name: str, bmode: ImagePlace, ceus: tuple[ImagePlace, ...]
) -> UltrasoundCase:
    patient = made.patient
    return UltrasoundCase(
        case_id=name,
        patient=name,
        bmode=bmode,
        ceus=ceus,
        finding=patient.finding,
        label=patient.label,
        age_years=patient.age_years,
        sex=patient.sex,
        location=patient.location,
        max_size_mm=patient.max_size_mm,
    )
