"""Where and how precisely a network runs."""

import ctypes
import os
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import cv2
import torch

from lnmdetect.core.errors import UsageError
from lnmdetect.core.precision import Precision
from lnmdetect.io.machine import rank_place, usable_cores

Autocast = Literal["fp32", "bf16", "fp16"]
KEPT_BLOCK = 256 * 2**20
"""Bytes; the largest maps of a full-width network on 16 crops have 50 MB."""
KEPT_IN_ALL = 1024 * 2**20
"""Bytes."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""malloc.h of glibc."""
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Compute:
    """A device and the precision of its matrix products."""

    device: torch.device
    precision: Autocast = "fp32"

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


def fastest_precision(device: torch.device) -> Precision:
    """Return what networks that are not quantised compute in fastest there."""
    return "bf16" if computes_bf16(device) else "fp32"


def limit_threads() -> int:
    """Return the number of threads torch now uses: the cores this process may use.

    Memory that is freed stays with the process from now on, see `keep_freed_memory`.

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
    keep_freed_memory()
    cv2.setNumThreads(1)  # it prepares slices beside the network, on cores that are all in use
    return threads


def keep_freed_memory() -> bool:
    """Return whether memory that is freed now stays with this process, for the next maps.

    Else glibc gives each large map back to the system, and its next owner waits for every page of
    it: a seventh of the time of networks in fp32. Other C libraries are left as they are.
    """
    if sys.platform != "linux":
        return False
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # of glibc alone
    if set_option is None:
        return False
    kept = set_option(_M_MMAP_THRESHOLD, KEPT_BLOCK), set_option(_M_TRIM_THRESHOLD, KEPT_IN_ALL)
    return all(kept)
