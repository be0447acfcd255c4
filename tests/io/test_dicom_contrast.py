"""Contrast and phase are read from what scanners and hospitals really write."""

import warnings
from typing import Any

import pytest
from pydicom import Dataset

from lnmdetect.io.dicom_contrast import contrast_of, phase_of


def header(**elements: Any) -> Dataset:
    dataset = Dataset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some are longer than DICOM allows, as in life
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
    return dataset


GIVEN = (
    *("IOMERON 350", "Omnipaque 300", "OMNI 350", "IV", "IV CONTRAST", "I.V. contrast", "APPLIED"),
    *("CE", "CONTRAST", "YES", "Y", "80 ML ULTRAVIST 370", "KM", "Jod", "Iodinated Contrast"),
    *(
        "VISIPAQUE320",
        "ORAL & IV",
        "ORAL+IV",
        "Iopamidol",
        "CM/ISOVUE 300",
        "Xenetix 350 no reaction",
    ),
    *("ISOVUE / ORAL", "Nonionic iodine", "KONTRASTMITTEL"),
)
WITHHELD = (
    *("NONE", "none", "No", "NO CONTRAST", "NON-CONTRAST", "NON CONTRAST", "NONCON", "NIL", "N"),
    *(
        "W/O",
        "WO",
        "WITHOUT",
        "without contrast",
        "nativ",
        "NATIVE",
        "ohne KM",
        "ohne",
        "plain",
        "0",
    ),
    *("0 ML", "UNENHANCED", "un-enhanced", "NEIN", "sin contraste", "sans injection", "C-", "NC"),
    *("NOT GIVEN", "pre contrast", "NONE GIVEN"),
)
NOT_TOLD = (
    "",
    "-",
    "?",
    "UNKNOWN",
    "N/A",
    "na",
    "unspecified",
    "ORAL",
    "READI-CAT",
    "NO ORAL, IV GIVEN",
)


@pytest.mark.parametrize(
    ("agent", "contrast"),
    [
        *((agent, True) for agent in GIVEN),
        *((agent, False) for agent in WITHHELD),
        *((agent, None) for agent in NOT_TOLD),
    ],
)
def test_the_agent_says_given_withheld_or_nothing(agent: str, contrast: bool | None) -> None:
    assert contrast_of(header(ContrastBolusAgent=agent)) is contrast


DESCRIBED_AS_GIVEN = (
    *(
        "NECK W CONTRAST",
        "Neck w/ contrast",
        "CT NECK WITH IV CONTRAST",
        "ST NECK C+",
        "Hals mit KM",
    ),
    *(
        "HALS KM 3.0",
        "Neck CE 2.0 Br40",
        "POST CONTRAST AX",
        "Cou avec injection",
        "cuello con CIV",
    ),
    *(
        "NECK +C",
        "ENHANCED NECK",
        "CTA CAROTIDS",
        "CECT",
        "collo con mdc",
        "Neck W C",
        "AX NECK IV+",
    ),
)
DESCRIBED_AS_WITHHELD = (
    *(
        "NECK W/O CONTRAST",
        "Neck WO",
        "NECK WITHOUT",
        "Hals nativ 3.0",
        "NON CONTRAST NECK",
        "NECK_NC",
    ),
    *("NON-CON 2.5", "UNENHANCED", "Hals ohne KM", "cou sans injection", "cuello sin contraste"),
    *("collo senza mdc", "PRECONTRAST", "Plain neck", "Neck C-", "w/o 3.0 Br40", "Noncontrast"),
)
SILENT = (
    *(
        "Neck 3.0 Br40",
        "NECK W/WO CONTRAST",
        "CT NECK W & W/O CONTRAST",
        "with and without contrast",
    ),
    *(
        "Neck 1.0 w/o iMAR",
        "Hals ohne MAR",
        "ALTERNATIVE RECON",
        "explained",
        "Mr Bartlett",
        "AX STD",
    ),
    *("Single sinus", "NECK C-SPINE 2.0", "C-Spine", "SERIES WOUND", "Icewine", "kmart"),
)


@pytest.mark.parametrize(
    ("description", "contrast"),
    [
        *((words, True) for words in DESCRIBED_AS_GIVEN),
        *((words, False) for words in DESCRIBED_AS_WITHHELD),
        *((words, None) for words in SILENT),
    ],
)
def test_where_no_agent_is_named_the_descriptions_tell(
    description: str, contrast: bool | None
) -> None:
    assert contrast_of(header(SeriesDescription=description)) is contrast
    assert contrast_of(header(ProtocolName=description)) is contrast
    assert (phase_of(header(SeriesDescription=description)) == "native") is (contrast is False)


def test_the_agent_goes_before_the_descriptions_and_the_series_before_its_protocol() -> None:
    assert contrast_of(header(ContrastBolusAgent="NONE", SeriesDescription="C+")) is False
    assert contrast_of(header(ContrastBolusAgent="UNKNOWN", SeriesDescription="C+")) is True
    assert contrast_of(header(SeriesDescription="nativ", ProtocolName="Hals mit KM")) is False


def test_a_volume_or_an_enhanced_objects_agents_are_contrast() -> None:
    assert contrast_of(header(ContrastBolusVolume="80")) is True
    assert contrast_of(header(ContrastBolusVolume="0")) is None
    agent = header(CodeValue="C-B0322")
    assert contrast_of(header(ContrastBolusAgentSequence=[agent])) is True


PHASES = {
    "arterial": (
        *("Neck arterial 2.0", "NECK_ART_1.0", "Hals art. 3.0", "CTA Carotis", "CT Angio neck"),
        *("artérielle", "frühARTERIELL 2.0", "late arterial", "ARTERIA", "Art1"),
    ),
    "venous": (
        *("HALS VENÖS 3.0", "Hals ven 3.0", "HALS_VEN_3.0", "venoes", "Portal venous", "PV 70s"),
        *("PVP", "veineux", "phase veineuse", "FASE VENOSA", "VENOUS", "late venous", "spätvenös"),
    ),
    "delayed": (
        "late phase",
        "DELAYED",
        "Delay 3min",
        "Spätphase",
        "SPAET",
        "tardif",
        "fase tardía",
    ),
    "native": ("Hals nativ", "NATIVE", "WITHOUT CONTRAST"),
    "": (
        *("Neck 3.0", "Mr Bartlett", "Lateral", "intravenous contrast", "ventricle", "ARTEFACT"),
        *("Neck art/ven", "partial", "ARTHRITIS", "Venezia", "vinorelbine", "PLATE", "", "W/WO"),
    ),
}


@pytest.mark.parametrize(
    ("words", "phase"), [(words, phase) for phase, every in PHASES.items() for words in every]
)
def test_the_phase_is_read_from_the_descriptions(words: str, phase: str) -> None:
    assert phase_of(header(SeriesDescription=words)) == phase
    assert phase_of(header(ProtocolName=words)) == phase


def test_a_protocols_name_may_tell_of_other_series() -> None:
    assert phase_of(header(SeriesDescription="ven 3.0", ProtocolName="Hals nativ/art")) == "venous"
    assert phase_of(header(ContrastBolusAgent="IV", ProtocolName="Hals nativ")) == ""
    assert phase_of(header(ContrastBolusAgent="IV", SeriesDescription="Hals nativ")) == "native"


def test_words_may_hold_anything() -> None:
    for words in ("\\", "(((", "頸部造影", "a" * 5000, "no " * 2000, "w/" * 3000):
        contrast_of(header(ContrastBolusAgent=words, SeriesDescription=words))
        phase_of(header(SeriesDescription=words))
