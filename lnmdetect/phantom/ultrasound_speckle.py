"""What an ultrasound machine makes of echoes: speckle, beam width, attenuation, log compression."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LOOKS, CONTRAST_LOOKS = 3, 6
"""Directions from which a compounding scanner looks; their envelopes are averaged. Contrast frames
are also averaged over time (persistence)."""
_COARSE_SIGMA_PX = 3.0
_WIDE = 2.0
"""Width of the beam far from the focus, beside that at the focus."""
_ALIKE = float(np.sqrt(2 * _WIDE / (1 + _WIDE**2)))
"""Correlation of what both beams see of the same scatterers: the overlap of two Gaussians."""


@dataclass(frozen=True)
class Machine:
    """How a scanner is set.

    Attributes:
        pixel_mm: side of a pixel. axial_mm, lateral_mm: deviation of the pulse along the beam and
            across it at the focus. focus_mm: depth of the focus.
        gain_db: added to all. range_db: shown from black to white. noise_db: electronic, below the
            gland's echoes. tgc_db: (5,) left over by the depth sliders, from the skin down.
        looks: averaged.
    """

    pixel_mm: float
    axial_mm: float
    lateral_mm: float
    focus_mm: float
    gain_db: float
    range_db: float
    noise_db: float
    tgc_db: tuple[float, ...]
    looks: int = LOOKS


def draw_machine(rng: np.random.Generator, pixel_mm: float, *, contrast: bool = False) -> Machine:
    """Return settings as they vary from examination to examination.

    A contrast examination has a lower frequency, so coarser speckle, and a shorter range.
    """
    coarse = 1.3 if contrast else 1.0
    return Machine(
        pixel_mm=pixel_mm,
        axial_mm=float(rng.uniform(0.10, 0.15)) * coarse,
        lateral_mm=float(rng.uniform(0.18, 0.28)) * coarse,
        focus_mm=float(rng.uniform(12, 20)),
        gain_db=float(rng.normal(0, 3.2 if contrast else 2.5)),
        range_db=float(rng.uniform(34, 48) if contrast else rng.uniform(50, 60)),
        noise_db=float(rng.uniform(-36, -30) if contrast else rng.uniform(-46, -38)),
        tgc_db=tuple(rng.normal(0, 1.2, 5)),
        looks=CONTRAST_LOOKS if contrast else LOOKS,
    )


def echo_image(
    amplitude: Floats, coherent: Floats, machine: Machine, rng: np.random.Generator
) -> Floats:
    """Return the envelope (H, W) of the echoes, about 1 where `amplitude` is 1.

    Many scatterers a resolution cell make the echo a complex normal number, of which the beam takes
    a running mean: fully developed speckle. A reflector adds echoes of one phase. Envelopes of
    the machine's looks are averaged.

    Args:
        amplitude: (H, W) of the scatterers, attenuation included.
        coherent: (H, W) of smooth reflectors.
        machine: beam width and noise.
        rng: of the scatterers.
    """
    lines = blurred(coherent, *_sigma(machine, 1.0))
    noise = 10 ** (machine.noise_db / 20) * _tgc(machine, amplitude.shape[0])[:, None]
    total = np.zeros_like(amplitude)
    for _ in range(machine.looks):
        real, imaginary = _speckle(amplitude, machine, rng) + noise * _normal(rng, amplitude.shape)
        total += np.hypot(real + lines, imaginary)
    return np.asarray(total / machine.looks)


def _speckle(amplitude: Floats, machine: Machine, rng: np.random.Generator) -> Floats:
    """Return the echoes of scatterers, real and imaginary (2, H, W); narrowest at the focus."""
    scatterers = amplitude * _normal(rng, amplitude.shape)
    depth = (np.arange(amplitude.shape[0]) + 0.5) * machine.pixel_mm
    away = np.clip(np.abs(depth - machine.focus_mm) / machine.focus_mm, 0, 1)[:, None]
    narrow, wide = (_beam(scatterers, machine, width) for width in (1.0, _WIDE))
    power = (1 - away) ** 2 + away**2 + 2 * (1 - away) * away * _ALIKE
    return np.asarray((narrow * (1 - away) + wide * away) / np.sqrt(power))


def _beam(scatterers: Floats, machine: Machine, width: float) -> Floats:
    down, across = _sigma(machine, width)
    spread = np.stack([blurred(part, down, across) for part in scatterers])
    # Of white noise a Gaussian of deviations s and t keeps 1 / (4 pi s t) of the power.
    return np.asarray(spread * np.sqrt(4 * np.pi * down * across))


def _sigma(machine: Machine, width: float) -> tuple[float, float]:
    across = machine.lateral_mm * width / machine.pixel_mm
    return machine.axial_mm / machine.pixel_mm, across


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Return real and imaginary part (2, H, W) of complex normal numbers of power 1."""
    return rng.normal(scale=np.sqrt(0.5), size=(2, *shape))


def blurred(values: Floats, down_px: float, across_px: float | None = None) -> Floats:
    """Return (H, W) values after a Gaussian of these deviations along the columns and the rows."""
    across = down_px if across_px is None else across_px
    return np.asarray(
        cv2.GaussianBlur(values, (0, 0), across, sigmaY=down_px, borderType=cv2.BORDER_REPLICATE)
    )


def transmitted(loss_db_mm: Floats, machine: Machine) -> Floats:
    """Return what share of the amplitude (H, W) comes back from each depth.

    Args:
        loss_db_mm: (H, W) both ways, beyond what the machine makes up for; negative is enhancement.
        machine: its depth sliders are left in.
    """
    passed = np.cumsum(loss_db_mm, axis=0) * machine.pixel_mm
    passed = blurred(passed, 0.3, 0.8 * machine.lateral_mm / machine.pixel_mm)
    return np.asarray(10 ** (-passed / 20) * _tgc(machine, len(passed))[:, None])


def _tgc(machine: Machine, rows: int) -> Floats:
    sliders = np.interp(
        np.linspace(0, len(machine.tgc_db) - 1, rows), range(len(machine.tgc_db)), machine.tgc_db
    )
    return np.asarray(10 ** (sliders / 20))


def compressed(envelope: Floats, machine: Machine, top_db: float) -> NDArray[np.uint8]:
    """Return grey (H, W) uint8: decibels from `top_db - range_db` (black) to `top_db` (white)."""
    decibels = 20 * np.log10(np.maximum(envelope, 1e-9)) + machine.gain_db
    share = np.clip((decibels - top_db) / machine.range_db + 1, 0, 1)
    return np.asarray(np.rint(255 * share), dtype=np.uint8)


def smooth_field(rng: np.random.Generator, shape: tuple[int, int], sigma_px: float) -> Floats:
    """Return a smooth random field (H, W) of mean 0 and deviation 1.

    A wide one is drawn on a coarser grid.
    """
    factor = max(1.0, sigma_px / _COARSE_SIGMA_PX)
    rows, columns = (int(np.ceil(side / factor)) + 2 for side in shape)
    field = blurred(rng.normal(size=(rows, columns)), sigma_px / factor)
    if factor > 1:
        field = np.asarray(
            cv2.resize(field, shape[::-1], interpolation=cv2.INTER_CUBIC), dtype=np.float64
        )
    field = field[: shape[0], : shape[1]]
    return np.asarray((field - field.mean()) / (field.std() + 1e-12))
