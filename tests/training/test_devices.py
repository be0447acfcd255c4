"""Devices by name, and threads."""

import os
import platform
import resource
import sys

import pytest
import torch

from lnmdetect.core.errors import UsageError
from lnmdetect.training import devices
from lnmdetect.training.devices import (
    Compute,
    choose_device,
    keep_freed_memory,
    limit_threads,
    training_compute,
)


def test_auto_is_the_cpu_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device() == torch.device("cpu")


def test_auto_is_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")


@pytest.mark.parametrize(
    "name", ["cuda:9", "cuda:2", "cuda:-1", "cuda:", "cuda:x", "gpu", "", "mps"]
)
def test_a_device_that_is_not_there_is_refused_by_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(
        UsageError, match=rf"--device: expected auto, cpu.*got '{name}' with 2 GPUs"
    ):
        choose_device(name)


def test_gpus_are_counted_from_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    assert choose_device("cuda") == torch.device("cuda")


def test_training_runs_in_bf16_except_on_gpus_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert training_compute(torch.device("cpu")).precision == "bf16"
    # Emulated bf16 is slower than fp32: an older GPU trains in fp16.
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation
    )
    assert training_compute(torch.device("cuda")).precision == "fp16"


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_products_have_the_precision_asked_for(precision: str, dtype: torch.dtype) -> None:
    a = torch.ones(2, 2)
    with Compute(torch.device("cpu"), precision).autocast():  # type: ignore[arg-type]
        assert (a @ a).dtype == dtype


@pytest.mark.parametrize(
    ("cores", "wanted", "threads"),
    [({0, 1}, None, 2), ({0, 1}, "1", 1), ({0}, "8", 1), ({0, 1}, "many", 2), ({0, 1}, "0", 2)],
)
def test_threads_are_the_cores_and_omp_num_threads_lowers_them(
    cores: set[int], wanted: str | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: cores)
    if wanted is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    assert limit_threads() == threads
    assert used == [threads]


def test_threads_are_counted_where_the_system_knows_no_affinity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS and Windows
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    assert limit_threads() == 3


def faults_of_a_map() -> int:
    """Pages that the system has to give for a map of 60 MB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(15_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_large_maps_take_the_memory_of_those_before_them() -> None:
    assert keep_freed_memory()
    torch.zeros(45_000_000)
    assert min(faults_of_a_map() for _ in range(9)) < 100


def test_other_systems_keep_their_ways_with_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()


def torchrun(monkeypatch: pytest.MonkeyPatch, rank: int, count: int) -> None:
    for name in ("RANK", "LOCAL_RANK"):
        monkeypatch.setenv(name, str(rank))
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, str(count))


def test_processes_of_torchrun_divide_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "usable_cores", lambda: 6)
    before = torch.get_num_threads()
    try:
        torchrun(monkeypatch, 1, 2)
        monkeypatch.setenv("OMP_NUM_THREADS", "1")  # torchrun's own default
        assert limit_threads() == 3
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        assert limit_threads() == 2
        torchrun(monkeypatch, 0, 8)
        assert limit_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_each_process_of_torchrun_takes_the_gpu_of_its_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    torchrun(monkeypatch, 1, 2)
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda:1")
    with pytest.raises(UsageError, match=r"--device: expected auto, cpu or cuda: each.*'cuda:0'"):
        choose_device("cuda:0")
    torchrun(monkeypatch, 2, 3)
    with pytest.raises(UsageError, match="with 2 GPUs"):
        choose_device("auto")
