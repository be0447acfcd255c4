"""Ultrasound images: speckle as theory has it, signs where they belong, no grey that tells all."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from lnmdetect.phantom.ultrasound import SIDE_PX, UltrasoundPhantom, make_ultrasound
from lnmdetect.phantom.ultrasound_anatomy import NAMES, Section, draw_section
from lnmdetect.phantom.ultrasound_bmode import render_bmode
from lnmdetect.phantom.ultrasound_ceus import draw_perfusion, render_ceus
from lnmdetect.phantom.ultrasound_draw import BmodeSigns, CeusSigns
from lnmdetect.phantom.ultrasound_nodule import Nodule, draw_nodule
from lnmdetect.phantom.ultrasound_speckle import (
    LOOKS,
    Machine,
    draw_machine,
    echo_image,
    transmitted,
)

PLAIN = Machine(0.12, 0.12, 0.24, 15.0, 0.0, 55.0, -80.0, (0.0,) * 5)
CALM = BmodeSigns(0, 0.0, 0.3, 0.9, 0.5, 0.1, 0.2)
SLOW = CeusSigns(0.2, 0.0, 0.0, 0.0, 0.5)
PATIENTS = 40


@pytest.fixture(scope="module")
def made() -> list[UltrasoundPhantom]:
    return [make_ultrasound(17, index) for index in range(PATIENTS)]


def neck(signs: BmodeSigns, seed: int = 2) -> tuple[Section, Nodule]:
    rng = np.random.default_rng(seed)
    section = draw_section(rng, SIDE_PX, 0.12, 10.0)
    return section, draw_nodule(rng, section, signs, 10.0)


def test_speckle_is_fully_developed() -> None:
    still = np.zeros((500, 500))
    envelope = echo_image(still + 1, still, PLAIN, np.random.default_rng(0))[30:-30, 30:-30]
    # Rayleigh: mean sqrt(pi)/2, mean over deviation 1.913; of independent looks times their root.
    assert envelope.mean() == pytest.approx(np.sqrt(np.pi) / 2, rel=0.02)
    assert envelope.mean() / envelope.std() == pytest.approx(1.913 * np.sqrt(LOOKS), rel=0.06)


def test_loss_is_summed_over_depth() -> None:
    passed = transmitted(np.full((100, 20), 2.0), PLAIN)
    decibels = -20 * np.log10(passed[:, 10])
    assert np.diff(decibels)[5:90] == pytest.approx(2.0 * PLAIN.pixel_mm, rel=0.01)


def test_a_nodule_has_the_size_it_is_given_and_lies_in_the_gland() -> None:
    section, nodule = neck(CALM)
    rows, columns = np.nonzero(nodule.distance < 0)
    largest = max(np.ptp(rows), np.ptp(columns)) * section.pixel_mm
    assert largest == pytest.approx(10.0, rel=0.15)
    assert (section.gland[nodule.distance < 0] < 0).mean() > 0.98


def test_contact_brings_a_nodule_through_the_capsule() -> None:
    section, nodule = neck(replace(CALM, contact=1.0))
    assert (section.gland[nodule.distance < 0] > 0).any()


def mean_in(image: NDArray[np.uint8], where: NDArray[np.bool_]) -> float:
    return float(image[where].mean())


def test_a_dark_nodule_lies_below_the_gland_and_blood_below_all() -> None:
    section, nodule = neck(CALM)
    image = render_bmode(section, nodule, CALM, PLAIN, np.random.default_rng(1))
    gland = (section.tissue == NAMES.index("thyroid")) & (nodule.distance > 1)
    blood = section.tissue == NAMES.index("artery")
    assert mean_in(image, gland) > mean_in(image, nodule.distance < -1) + 25
    assert mean_in(image, nodule.distance < -1) > mean_in(image, blood) + 25


def test_a_calcification_is_bright_and_casts_a_shadow() -> None:
    section, nodule = neck(CALM)
    clear = render_bmode(section, nodule, CALM, PLAIN, np.random.default_rng(1)).astype(float)
    x, y = section.x[144, 144], section.y[144, 144]
    spotted = replace(nodule, points=np.array([[x, y]]), sizes_mm=np.array([0.2]))
    image = render_bmode(section, spotted, CALM, PLAIN, np.random.default_rng(1)).astype(float)
    change = image - clear
    assert change[143:146, 143:146].mean() > 60
    assert change[160:200, 143:146].mean() < -5
    assert abs(change[160:200, 60:80].mean()) < 1


def test_contrast_fills_the_gland_and_spares_muscle_and_air() -> None:
    section, nodule = neck(CALM)
    rng = np.random.default_rng(1)
    perfusion = draw_perfusion(section, nodule, SLOW, rng)
    (frame,) = render_ceus(section, perfusion, PLAIN, rng, 1)
    gland = (section.tissue == NAMES.index("thyroid")) & (nodule.distance > 1)
    assert mean_in(frame, gland) > mean_in(frame, nodule.distance < -1) + 20
    assert (
        mean_in(frame, nodule.distance < -1)
        > mean_in(frame, section.tissue == NAMES.index("muscle")) + 20
    )
    assert mean_in(frame, section.air) < 10


def test_frames_rise_to_the_middle_one_and_keep_their_place() -> None:
    series = make_ultrasound(5, 1, ceus_frames=5)
    means = series.ceus.mean(axis=(1, 2))
    assert means[0] < means[1] < means[2]
    assert np.corrcoef(series.ceus[2].ravel(), series.ceus[3].ravel())[0, 1] > 0.8
    assert not np.array_equal(series.ceus[2], series.ceus[3])


def test_the_b_mode_image_does_not_depend_on_the_number_of_frames() -> None:
    one, three = (make_ultrasound(5, 2, ceus_frames=count) for count in (1, 3))
    assert np.array_equal(one.bmode, three.bmode)
    assert (one.ceus.shape, three.ceus.shape) == ((1, 288, 288), (3, 288, 288))


@pytest.mark.slow
def test_both_images_show_the_same_section_and_not_the_same_thing(
    made: list[UltrasoundPhantom],
) -> None:
    alike = [
        np.corrcoef(one.bmode.ravel().astype(float), one.ceus[0].ravel())[0, 1] for one in made
    ]
    assert 0.2 < np.mean(alike) < 0.8


@pytest.mark.slow
@pytest.mark.parametrize("modality", ["bmode", "ceus"])
@pytest.mark.parametrize("statistic", [np.mean, np.std, np.median, np.max])
def test_no_trivial_statistic_tells_the_classes_apart(
    made: list[UltrasoundPhantom], modality: str, statistic: object
) -> None:
    metastatic = [one.patient.label == "metastatic" for one in made]
    values = [statistic(getattr(one, modality)) for one in made]  # type: ignore[operator]
    auc = roc_auc_score(metastatic, values)
    assert max(auc, 1 - auc) <= 0.70


def test_machines_differ() -> None:
    rng = np.random.default_rng(0)
    gains = [draw_machine(rng, 0.12).gain_db for _ in range(50)]
    assert np.std(gains) > 1.5
