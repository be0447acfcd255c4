"""One synthetic carcinoma drawn from a seed: its label, what is hidden behind each modality, signs.

The label is drawn first. Given the label three things are drawn, nearly independent of each other,
so that each modality carries partial information and another share of it:

- the growth sign g, normal around -`SIGN_SHIFT`/2 (benign) or +`SIGN_SHIFT`/2 (metastatic) with
  deviation 1, which B-mode shows: micro-calcifications, lobed and blurred margins, echogenicity,
  height beside width, contact with the thyroid's capsule. CEUS shows of it the outline, blurred.
- the perfusion sign p, likewise, with a correlation of `SHARED` with g given the label, which CEUS
  shows: enhancement beside the gland's, defects, a broken rim, spread beyond the outline, speed of
  wash-in. B-mode shows of it a weak inner texture.
- the finding, present in 38.6 % of the metastatic and 10 % of the benign (Guang 2023: sensitivity
  38.6 %, specificity 90 %), whatever g and p are.

Each sign of an image follows g or p with noise of its own (`FAITH`), so that several have to be
read together. Size is a little larger in the metastatic, and age, sex and location differ as well,
as a table 1 shows; none of them separates the classes by itself.

With a shift of 1.4 a hidden sign read without error has an AUC of Phi(1.4 / sqrt 2) = 0.84, the
finding 0.64, all three together 0.92. A small network trained on 240 patients reads less: 0.70 to
0.78 from one image.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import ndtr

from lnmdetect.core.ultrasound import Finding, Label, Sex

METASTATIC_SHARE = 0.45
SIGN_SHIFT = 1.4
SHARED = 0.1
FAITH = 0.88
"""Correlation of a sign of an image with what it is a sign of."""
SENSITIVITY, SPECIFICITY = 0.386, 0.90
"""Of the clinical finding (Guang 2023, table 2)."""
MIN_SIZE_MM, MAX_SIZE_MM = 4.0, 22.0
_LARGER = 1.10
"""Metastatic over benign size."""


@dataclass(frozen=True)
class HiddenSigns:
    """What no file tells: the growth sign g and the perfusion sign p."""

    growth: float
    perfusion: float


@dataclass(frozen=True)
class BmodeSigns:
    """How a nodule looks in B-mode; all but `calcifications` in [0, 1], higher with g.

    Attributes:
        calcifications: how many bright points.
        lobed: height of the margin's waves. blurred: width over which the margin fades.
        dark: how far its echoes lie below the gland's. tall: height beside width.
        contact: 0 deep in the gland, 1 through its capsule.
        coarse: of the inner texture; follows p, weakly.
    """

    calcifications: int
    lobed: float
    blurred: float
    dark: float
    tall: float
    contact: float
    coarse: float


@dataclass(frozen=True)
class CeusSigns:
    """How a nodule takes up contrast, each in [0, 1], higher with p.

    Attributes:
        bright: its peak beside the gland's. defects: size and number of what stays dark.
        rim: brightness of its rim. spread: how far enhancement reaches beyond the outline.
        early: how much sooner than the gland it fills.
    """

    bright: float
    defects: float
    rim: float
    spread: float
    early: float


@dataclass(frozen=True)
class UltrasoundPatient:
    """One patient: what the file says, and what is drawn in the images."""

    label: Label
    finding: Finding
    age_years: float
    sex: Sex
    location: str
    max_size_mm: float
    hidden: HiddenSigns
    bmode: BmodeSigns
    ceus: CeusSigns


def draw_patient(seed: int, index: int) -> UltrasoundPatient:
    """Return patient `index` of the cohort of a seed; the same for the same two numbers."""
    rng = np.random.default_rng((seed, index, 41))
    metastatic = bool(rng.random() < METASTATIC_SHARE)
    hidden = _draw_hidden(rng, metastatic)
    present = rng.random() < (SENSITIVITY if metastatic else 1 - SPECIFICITY)
    size_mm = (_LARGER if metastatic else 1.0) * 11.5 * np.exp(rng.normal(0, 0.30))
    return UltrasoundPatient(
        label="metastatic" if metastatic else "benign",
        finding="present" if present else "absent",
        age_years=float(np.clip(round(rng.normal(40 if metastatic else 46, 12)), 18, 85)),
        sex="M" if rng.random() < (0.33 if metastatic else 0.22) else "F",
        location=_draw_location(rng, metastatic),
        max_size_mm=round(float(np.clip(size_mm, MIN_SIZE_MM, MAX_SIZE_MM)), 1),
        hidden=hidden,
        bmode=_bmode_signs(rng, hidden),
        ceus=_ceus_signs(rng, hidden),
    )


def _draw_hidden(rng: np.random.Generator, metastatic: bool) -> HiddenSigns:
    shift = SIGN_SHIFT / 2 if metastatic else -SIGN_SHIFT / 2
    first, second = rng.normal(size=2)
    second = SHARED * first + sqrt(1 - SHARED**2) * second
    return HiddenSigns(float(shift + first), float(shift + second))


def _draw_location(rng: np.random.Generator, metastatic: bool) -> str:
    side = "left" if rng.random() < 0.47 else "right"
    shares = (0.33, 0.37, 0.30) if metastatic else (0.20, 0.48, 0.32)
    third = ("upper", "middle", "lower")[int(rng.choice(3, p=shares))]
    return f"{side} lobe, {third} third"


def _sign(rng: np.random.Generator, hidden: float, faith: float = FAITH) -> float:
    """Return a sign in (0, 1), even over all patients, that follows a hidden sign."""
    spread = sqrt(1 + SIGN_SHIFT**2 / 4)
    seen = faith * hidden / spread + sqrt(1 - faith**2) * rng.normal()
    return float(ndtr(seen))


def _bmode_signs(rng: np.random.Generator, hidden: HiddenSigns) -> BmodeSigns:
    growth = hidden.growth
    many = _sign(rng, growth)
    return BmodeSigns(
        calcifications=int(rng.poisson(16 * max(0.0, many - 0.25))),
        lobed=_sign(rng, growth),
        blurred=_sign(rng, growth, 0.6),
        dark=_sign(rng, growth, 0.8),
        tall=_sign(rng, growth, 0.75),
        contact=_sign(rng, growth),
        coarse=_sign(rng, hidden.perfusion, 0.35),
    )


def _ceus_signs(rng: np.random.Generator, hidden: HiddenSigns) -> CeusSigns:
    perfusion = hidden.perfusion
    return CeusSigns(
        bright=_sign(rng, perfusion),
        defects=_sign(rng, perfusion),
        rim=_sign(rng, perfusion),
        spread=_sign(rng, perfusion),
        early=_sign(rng, perfusion),
    )
