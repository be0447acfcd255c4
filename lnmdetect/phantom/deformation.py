"""How a patient differs from the atlas as a whole: size, pose, and a smooth warp."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.phantom.shapes import Floats


@dataclass(frozen=True)
class Deformation:
    """Maps atlas coordinates to the patient's.

    Attributes:
        scale: (x, y) size factors.
        rotation_rad: about z.
        tilt: (about y, about x) as change of z per mm of x and of y.
        bend_mm: (amplitude, z of the middle) of the curve of the neck in y.
        wave_mm, wave_vector, wave_phase: (n, 2), (n, 3), (n,) of the smooth warp.
    """

    scale: tuple[float, float]
    rotation_rad: float
    tilt: tuple[float, float]
    bend_mm: tuple[float, float]
    wave_mm: NDArray[np.float32]
    wave_vector: NDArray[np.float32]
    wave_phase: NDArray[np.float32]

    def in_plane(self, points: Floats, z_mm: float) -> Floats:
        """Return atlas points (n, 2) at atlas level `z_mm` in the patient's frame, mm."""
        angle = points @ self.wave_vector[:, :2].T + (
            self.wave_vector[:, 2] * z_mm + self.wave_phase
        )
        moved = points + np.sin(angle) @ self.wave_mm
        moved = moved * np.asarray(self.scale, dtype=np.float32)
        moved[:, 1] += self.bend_mm[0] * np.cos((z_mm - self.bend_mm[1]) / 60)
        cosine, sine = np.cos(self.rotation_rad), np.sin(self.rotation_rad)
        turn = np.array([[cosine, sine], [-sine, cosine]], dtype=np.float32)
        return np.asarray(moved @ turn, dtype=np.float32)

    def atlas_z(self, z_mm: float, centre: Floats) -> float:
        """Return the atlas level that a structure around `centre` shows in the slice at `z_mm`."""
        return float(z_mm + self.tilt[0] * centre[0] + self.tilt[1] * centre[1])


def draw_deformation(rng: np.random.Generator, amount: float) -> Deformation:
    """Return a random deformation; `amount` 1 is lifelike, 2 far wider."""
    waves = 7
    length = rng.uniform(50, 200, waves)
    direction = rng.normal(0, 1, (waves, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    size = float(np.exp(rng.normal(0, 0.05 * amount)))
    return Deformation(
        scale=(size * float(np.exp(rng.normal(0, 0.03 * amount))), size),
        rotation_rad=float(np.radians(rng.normal(0, 2.5 * amount))),
        tilt=(float(rng.normal(0, 0.03 * amount)), float(rng.normal(0, 0.05 * amount))),
        bend_mm=(float(rng.normal(0, 4 * amount)), float(rng.uniform(-40, 40))),
        wave_mm=(rng.normal(0, 0.011 * amount, (waves, 2)) * length[:, None]).astype(np.float32),
        wave_vector=(direction * (2 * np.pi / length)[:, None]).astype(np.float32),
        wave_phase=rng.uniform(0, 2 * np.pi, waves).astype(np.float32),
    )


UPRIGHT = Deformation(
    scale=(1.0, 1.0),
    rotation_rad=0.0,
    tilt=(0.0, 0.0),
    bend_mm=(0.0, 0.0),
    wave_mm=np.zeros((1, 2), dtype=np.float32),
    wave_vector=np.zeros((1, 3), dtype=np.float32),
    wave_phase=np.zeros(1, dtype=np.float32),
)
"""No deformation: for what lies around the patient."""
