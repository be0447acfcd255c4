"""The images of one synthetic carcinoma: B-mode, and CEUS frames of the same section."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.phantom.ultrasound_anatomy import draw_section
from lnmdetect.phantom.ultrasound_bmode import render_bmode
from lnmdetect.phantom.ultrasound_ceus import draw_perfusion, render_ceus
from lnmdetect.phantom.ultrasound_draw import UltrasoundPatient, draw_patient
from lnmdetect.phantom.ultrasound_nodule import draw_nodule
from lnmdetect.phantom.ultrasound_speckle import draw_machine

SIDE_PX = 288
_FIELD_MM = (27.0, 31.0)


@dataclass(frozen=True)
class UltrasoundPhantom:
    """A patient with images.

    Attributes:
        bmode: (H, W) uint8. ceus: (F, H, W) uint8, in the order of time, the middle at the peak.
    """

    patient: UltrasoundPatient
    bmode: NDArray[np.uint8]
    ceus: NDArray[np.uint8]


def make_ultrasound(seed: int, index: int, *, ceus_frames: int = 1) -> UltrasoundPhantom:
    """Return patient `index` of a seed with images of `SIDE_PX` a side; the same for the same two.

    The B-mode image does not depend on the number of CEUS frames.
    """
    patient = draw_patient(seed, index)
    rng = np.random.default_rng((seed, index, 43))
    pixel_mm = float(rng.uniform(*_FIELD_MM)) / SIDE_PX
    section = draw_section(rng, SIDE_PX, pixel_mm, patient.max_size_mm)
    nodule = draw_nodule(rng, section, patient.bmode, patient.max_size_mm)
    bmode = render_bmode(section, nodule, patient.bmode, draw_machine(rng, pixel_mm), rng)
    perfusion = draw_perfusion(section, nodule, patient.ceus, rng)
    machine = draw_machine(rng, pixel_mm, contrast=True)
    ceus = render_ceus(section, perfusion, machine, rng, ceus_frames)
    turned = patient.location.startswith("left")  # the trachea is then on the image's left
    return UltrasoundPhantom(
        patient,
        np.ascontiguousarray(bmode[:, ::-1] if turned else bmode),
        np.ascontiguousarray(ceus[:, :, ::-1] if turned else ceus),
    )
