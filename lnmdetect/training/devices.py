"""Where and how precisely a network runs."""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import cv2
import torch

from lnmdetect.core.errors import UsageError
from lnmdetect.io.machine import rank_place, usable_cores

Precision = Literal["fp32", "bf16", "fp16"]
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Compute:
    """A device and the precision of its matrix products."""

    device: torch.device
    precision: Precision = "fp32"

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which forward passes run."""
        dtype = _DTYPES.get(self.precision)
        return torch.autocast(self.device.type, dtype, enabled=dtype is not None)


def choose_device(name: str = "auto") -> torch.device:
    """Return the device for `auto`, `cpu`, `cuda` or `cuda:N`; of several processes, a GPU each.

    Raises:
        UsageError: the name is none of these, or the device is not there.
    """
    place = rank_place()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if place.local_count == 1:
            return torch.device(name)
    if name == "cuda" and place.local_count > 1:
        name = f"cuda:{place.local_rank}"
    elif place.local_count > 1 and name.startswith("cuda:"):
        raise UsageError(
            "--device",
            expected="auto, cpu or cuda: each process takes the GPU of its own number",
            got=repr(name),
            remedy="Leave the number out.",
        )
    kind, _, number = name.partition(":")
    sound = name in ("cpu", "cuda") or (kind == "cuda" and number.isdecimal())
    available = torch.cuda.device_count() if kind == "cuda" else 1
    if not sound or (kind == "cuda" and int(number or 0) >= available):
        raise UsageError(
            "--device",
            expected="auto, cpu, cuda or cuda:N with a GPU of that number",
            got=f"{name!r} with {torch.cuda.device_count()} GPUs",
            remedy="Use --device cpu, or leave it out.",
        )
    return torch.device(name)


def training_compute(device: torch.device) -> Compute:
    """Return the device with the precision of training: bf16, on older GPUs fp16."""
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return Compute(device, "fp16")
    return Compute(device, "bf16")


def computes_bf16(device: torch.device) -> bool:
    """Return whether bf16 is faster there than fp32; elsewhere it is only imitated."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    known = torch.cpu.get_capabilities()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def limit_threads() -> int:
    """Return the number of threads torch now uses: the cores this process may use.

    `OMP_NUM_THREADS` lowers it. More threads than cores is many times slower (design, section 9).
    Processes of torchrun divide the cores of their machine; a 1 in that variable is then torchrun's
    own and lowers nothing.
    """
    sharing = rank_place().local_count
    cores = max(1, usable_cores() // sharing)
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if sharing > 1 and wanted == "1":
        wanted = ""
    threads = min(cores, int(wanted)) if wanted.isdigit() and int(wanted) else cores
    torch.set_num_threads(threads)
    cv2.setNumThreads(1)  # it prepares slices beside the network, on cores that are all in use
    return threads
