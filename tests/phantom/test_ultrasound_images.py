"""Ultrasound images: speckle as theory has it, signs where they belong, no grey that tells all."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from sklearn.metrics import roc_auc_score

from lnmdetect.phantom.ultrasound import SIDE_PX, UltrasoundPhantom, make_ultrasound
from lnmdetect.phantom.ultrasound_anatomy import NAMES, Section, draw_section
from lnmdetect.phantom.ultrasound_bmode import render_bmode
from lnmdetect.phantom.ultrasound_ceus import Perfusion, draw_perfusion, render_ceus
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


def test_signs_of_perfusion_show_where_they_belong() -> None:
    section, nodule = neck(CALM)

    def drawn(**signs: float) -> Perfusion:
        return draw_perfusion(section, nodule, replace(SLOW, **signs), np.random.default_rng(1))

    plain, inside = drawn(), nodule.distance < -1
    on_rim = np.abs(nodule.distance) < 0.3
    beyond = (nodule.distance > 1.0) & (nodule.distance < 1.6) & (section.gland < 0)
    assert (drawn(rim=1.0).peak - plain.peak)[on_rim].mean() > 0.35
    assert (drawn(rim=1.0).peak - plain.peak)[nodule.distance < -3].mean() < 0.01
    assert (drawn(bright=1.0).peak - plain.peak)[inside].mean() == pytest.approx(0.88, rel=0.05)
    assert (drawn(spread=1.0).peak - plain.peak)[beyond].mean() < -0.2  # of a nodule that is dim
    assert (drawn(defects=1.0).peak < 0.5 * plain.peak)[inside].mean() > 0.25
    assert drawn(early=0.0).delay_s[inside] == pytest.approx(5.0, abs=0.1)
    assert drawn(early=1.0).delay_s[inside] == pytest.approx(1.0, abs=0.1)


def test_signs_of_growth_show_in_the_outline_and_texture() -> None:
    def solidity(nodule: Nodule) -> float:
        """Area beside that of the convex hull: 1 without lobes."""
        points = np.argwhere(nodule.distance < 0)
        return len(points) / float(ConvexHull(points).volume)

    def height_beside_width(nodule: Nodule) -> float:
        rows, columns = np.nonzero(nodule.distance < 0)
        return float(np.ptp(rows) / np.ptp(columns))

    def margin(nodule: Nodule) -> int:
        return int(((nodule.inside > 0.05) & (nodule.inside < 0.95)).sum())

    def grain(nodule: Nodule) -> float:
        """Correlation of the texture with itself 1.2 mm further."""
        return float((nodule.texture[:, 10:] * nodule.texture[:, :-10]).mean())

    (_, least), (_, most) = (
        neck(replace(CALM, lobed=sign, blurred=sign, tall=sign, coarse=sign)) for sign in (0, 1)
    )
    assert solidity(least) > 0.97
    assert solidity(most) < 0.9
    assert height_beside_width(least) < 0.8
    assert height_beside_width(neck(replace(CALM, tall=1.0))[1]) > 1.15
    assert margin(most) > 4 * margin(least)
    assert grain(most) > grain(least) + 0.5


def test_the_trachea_is_on_the_medial_side_of_the_lobe() -> None:
    seen = set()
    for index in range(6):
        made = make_ultrasound(17, index)
        low = made.ceus[0][150:]
        # Air is black; beside the lobe's other end the carotid is full of contrast.
        left_is_darker = low[:, :30].mean() < low[:, -30:].mean()
        assert left_is_darker == made.patient.location.startswith("left")
        seen.add(left_is_darker)
    assert seen == {True, False}


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
