"""A canary: a patient's identity in every header field but the uids, and the search for it.

What is planted is never shorter than 8 characters; each kind is searched for in the forms in which
a program could write it.
"""

import base64
import contextlib
import hashlib
import html
import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import matplotlib.text
import pytest
from PIL import Image, ImageDraw
from pydicom import Dataset, dcmread
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID
from pydicom.valuerep import STR_VR
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.io.dicom_header import HEADER_TAGS
from tests.io import torture

CANARY, FOREIGN = "QZXCANARY", "ŻÜQŽÇÄÑÅRÝ"
DATE, TIME, NUMBER = "19730417", "081734.519264", "73519264"
NAME = f"{CANARY}^FIRST={FOREIGN}^ÉVA"
BY_VR: dict[str, Any] = {
    "PN": NAME,
    **dict.fromkeys(("LO", "SH", "ST", "LT", "UT", "UC"), f"{CANARY}N"),
    **dict.fromkeys(("AE", "CS"), f"{CANARY}N"),
    "DA": DATE,
    "TM": TIME,
    "DT": f"{DATE}{TIME}",
    "UR": f"http://{CANARY}/",
    **dict.fromkeys(("DS", "IS"), NUMBER),
    **dict.fromkeys(("UL", "SL", "UV", "SV"), int(NUMBER)),
    **dict.fromkeys(("FD", "FL"), float(NUMBER)),
}
"""A sound value of each kind."""
UNSOUND: dict[str, bytes] = {
    "PN": CANARY.encode() + b"^" + b"A" * 80,
    **dict.fromkeys(("DA", "TM", "DT", "AS"), CANARY.encode()),
    **dict.fromkeys(("DS", "IS", "UI"), CANARY.encode()),
    **dict.fromkeys(("SH", "LO", "AE"), CANARY.encode() * 9),
    "CS": b"qzxcanary in small letters",
    "UR": b"QZX CANARY",
    **dict.fromkeys(("LT", "ST", "UT", "UC"), CANARY.encode() + b"\xff\xfe"),
}
"""A value of each kind that its kind does not allow, as libraries quote it in warnings."""
READ_FROM_CT = {"Modality", "ImageType", "PhotometricInterpretation", "RescaleType"}
NOT_TEXT = {"SpecificCharacterSet", "TimezoneOffsetFromUTC", "PixelDataProviderURL", "HighBit"}
TEXTS_READ = {
    *("PatientID", "Manufacturer", "ManufacturerModelName", "ConvolutionKernel"),
    *("ContrastBolusAgent", "ProtocolName", "SeriesDescription"),
}
"""Of the text fields that are read all but those that decide what a CT slice is."""


def _spellings() -> Iterator[str]:
    year, month, day = DATE[:4], DATE[4:6], DATE[6:]
    yield from (CANARY, FOREIGN, DATE, TIME, NUMBER, "73,519,264", "73_519_264")
    yield f"{TIME[:2]}:{TIME[2:4]}:{TIME[4:]}"
    for mark in "-./":
        yield from (mark.join((year, month, day)), mark.join((day, month, year)))
        yield from (mark.join((month, day, year)), mark.join((day, month, year[2:])))
    yield from ("17 Apr 1973", "April 17, 1973", "17. April 1973", "17 April 1973")
    for secret in (CANARY, f"{CANARY}N", NAME, f"{CANARY}^FIRST", DATE, *map(patient_id, "012")):
        for kind in ("md5", "sha1", "sha256"):  # without a key, whoever guesses it can check it
            yield hashlib.new(kind, secret.encode()).hexdigest()[:16]


def patient_id(patient: str) -> str:
    """Return the PatientID planted for a patient, of a folder's name."""
    return f"{CANARY}P{patient.removeprefix('P')}"


FORBIDDEN = frozenset(spelling.lower() for spelling in _spellings())


def leaks(raw: str | bytes) -> list[str]:
    """Return what of the canary is in a text or in bytes, in any encoding that may hide it."""
    data = raw.encode() if isinstance(raw, str) else raw
    utf8 = data.decode("utf-8", "ignore")
    texts = [data.decode("latin-1"), utf8, data.decode("utf-16-le", "ignore")]
    texts += [html.unescape(unquote(utf8)), re.sub(r"\\u([0-9a-f]{4})", _character, utf8)]
    lowered = [text.lower() for text in texts]
    return sorted(word for word in FORBIDDEN if any(word in text for text in lowered))


def _character(found: re.Match[str]) -> str:
    return chr(int(found[1], 16))


def contents(path: Path) -> Iterator[bytes]:
    """Yield a file's name and bytes, and what the pictures within it carry."""
    yield path.name.encode()
    raw = path.read_bytes()
    yield raw
    pictures = [raw] if path.suffix == ".png" else []
    inlined = re.findall(rb"base64,([\w+/=]+)", raw)
    for picture in (*pictures, *map(base64.b64decode, inlined)):
        yield picture
        with Image.open(BytesIO(picture)) as image:
            image.load()
            yield repr(image.info).encode()  # text chunks, unpacked


def holders(folder: Path) -> dict[str, list[str]]:
    """Return the files below a folder that hold the canary, but DICOM objects."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.suffix != ".dcm"]
    found = {p.name: [leak for part in contents(p) for leak in leaks(part)] for p in files}
    return {name: told for name, told in found.items() if told}


def plant(dataset: Dataset, patient: str, *, kept: Iterable[str] = READ_FROM_CT) -> None:
    """Put the canary into every element of the standard but uids and what makes a CT slice.

    Private elements, nested ones, the meta header and the preamble take it too.
    """
    kept = {*kept, *NOT_TEXT}
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items():
        if vr in BY_VR and _may_hold(Tag(tag), vr) and keyword not in kept:
            dataset.add_new(tag, vr, BY_VR[vr])
    dataset.PatientID = patient_id(patient)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    block = dataset.private_block(0x0009, f"{CANARY} PRIVATE", create=True)
    block.add_new(1, "LO", f"{CANARY} PRIVATE")
    nested = Dataset()
    nested.PatientID, nested.PatientName, nested.CodeMeaning = f"{CANARY}7", NAME, f"{CANARY}7"
    deeper = Dataset()
    deeper.RequestAttributesSequence = [nested]
    dataset.OtherPatientIDsSequence, dataset.ReferencedStudySequence = [nested], [deeper]
    dataset.add_new((0x0009, 0x1002), "SQ", [nested])
    dataset.add_new((0x6000, 0x0022), "LO", f"{CANARY} OVERLAY")
    dataset.add_new((0xFFFC, 0xFFFC), "OB", f"{CANARY} PADDING ".encode())
    meta = dataset.file_meta
    meta.SourceApplicationEntityTitle = meta.SendingApplicationEntityTitle = CANARY
    meta.PrivateInformationCreatorUID = UID("1.2.3")
    meta.PrivateInformation = CANARY.encode() + b" "
    dataset.preamble = CANARY.encode().ljust(128, b"\0")


def _may_hold(tag: BaseTag, vr: str) -> bool:
    """Return whether an element is of the header, and no number that stages read."""
    if not 0x0008 <= tag.group < 0x6000 or tag.element == 0:
        return False
    return tag not in HEADER_TAGS or (vr in STR_VR and vr not in ("DS", "IS"))


def spoil(dataset: Dataset, patient: str) -> None:
    """Put values into every element that its kind does not allow."""
    plant(dataset, patient)
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items():
        place = Tag(tag)
        needed = place in HEADER_TAGS and keyword not in TEXTS_READ
        if vr in UNSOUND and 8 <= place.group < 0x6000 and not needed and keyword not in NOT_TEXT:
            value = UNSOUND[vr] + b" " * (len(UNSOUND[vr]) % 2)
            raw = RawDataElement(place, vr, len(value), value, 0, False, True)
            dataset._dict[place] = raw
    # With a longer one nothing could be made for the PACS.
    dataset.PatientID = patient_id(patient)
    dataset.FrameOfReferenceUID = "1.2.7"


def plant_all(folder: Path, patient: str = "", **options: Any) -> Path:
    """Plant the canary in every file below a folder; its folders stand for patients if none is."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        torture.rewrite(path, partial(plant, patient=patient or path.parent.name, **options))
    return folder


@cache
def _planted(seed: str, study: str, first: int) -> "tempfile.TemporaryDirectory[str]":
    """Return a folder that goes when the tests have ended: planting takes half a second."""
    folder = tempfile.TemporaryDirectory(prefix="canary")
    plant_all(_series(Path(folder.name), seed=seed, study=study, first=first), patient="P0")
    return folder


_series = torture.series


def planted_series(
    folder: Path, *, seed: str = "torture", study: str = "torture", first: int = 0
) -> Path:
    """Write the series that `tests.io.torture` breaks, planted; it stands in for the plain one."""
    source = Path(_planted(seed, study, first).name)
    folder.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        shutil.copy(path, folder)
    return folder


def planted_cohort(scan: Path, patients: int = 3) -> Path:
    """Write a series of each patient, planted."""
    for number in range(patients):
        _series(scan / f"P{number}", seed=f"p{number}", study=f"p{number}")
    return plant_all(scan)


@dataclass(frozen=True)
class Said:
    """What one command line said."""

    line: str
    exit_code: int
    text: str


def typed(line: str) -> Said:
    """Run a command line within this process."""
    return typed_words(*line.split())


def typed_words(*words: object) -> Said:
    """Run a command line, of which no word is split, within this process."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    return Said(" ".join(Path(str(word)).name for word in words), result.exit_code, result.output)


@contextlib.contextmanager
def overheard(drawn: list[str]) -> Iterator[None]:
    """Keep the texts drawn into pictures, and what is logged or written past Python's streams."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryFile() as streams:
        _note_texts(patch, drawn)
        ear = logging.Handler()
        formatted = logging.Formatter("%(name)s %(message)s")
        ear.emit = lambda record: drawn.append(formatted.format(record))  # type: ignore[method-assign]
        root = logging.getLogger()
        level = root.level
        root.addHandler(ear)
        root.setLevel(logging.DEBUG)
        for talkative in ("matplotlib", "PIL"):
            logging.getLogger(talkative).setLevel(logging.INFO)
        kept = [os.dup(number) for number in (1, 2)]
        sys.stdout.flush()
        for number in (1, 2):
            os.dup2(streams.fileno(), number)
        try:
            yield
        finally:
            for number, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, number)
                os.close(copy)
            root.removeHandler(ear)
            root.setLevel(level)
            streams.seek(0)
            drawn.append(streams.read().decode("latin-1"))


def _note_texts(patch: pytest.MonkeyPatch, drawn: list[str]) -> None:
    """Keep what matplotlib and Pillow write into pictures, where no search for text finds it."""
    draw, write = matplotlib.text.Text.set_text, ImageDraw.ImageDraw.text

    def noted(self: matplotlib.text.Text, text: object) -> None:
        drawn.append(str(text))
        draw(self, text)

    def noted_too(self: ImageDraw.ImageDraw, xy: Any, text: str, *args: Any, **more: Any) -> None:
        drawn.append(text)
        write(self, xy, text, *args, **more)

    patch.setattr(matplotlib.text.Text, "set_text", noted)
    patch.setattr(ImageDraw.ImageDraw, "text", noted_too)


def identity_of(path: Path) -> dict[str, str]:
    """Return the elements at the top of a DICOM file that hold the canary, and fail on others."""
    made = dcmread(path)
    top = {e.keyword: str(e.value) for e in made if e.VR != "SQ" and leaks(str(e.value))}
    nested = [e.tag for e in made.iterall() if e.VR != "SQ" and leaks(str(e.value))]
    assert len(nested) == len(top), f"the canary is nested: {nested}"
    return top
