"""Where arrays live: brought to a device once, back without a copy where none is needed, and refused where none is."""

import gc
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.commands import invoke, write_grid

from albench.benchmark import device


def read_only(rows: int = 4) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    array = np.ones((rows, 2), dtype=np.float32)
    array.setflags(write=False)
    return array


def test_on_the_cpu_arrays_stay_what_they_are() -> None:
    array = read_only()
    assert device.put(array) is array
    assert device.fetch(array) is array


def test_a_read_only_array_is_brought_once_and_let_go_with_its_owner() -> None:
    array, before = read_only(), len(device._THERE)
    with device.on("torch"):
        tensor = device.put(array)
        assert isinstance(tensor, torch.Tensor)
        assert device.put(array) is tensor
        assert np.array_equal(device.fetch(tensor), array)
    assert device.active() == "cpu"
    assert len(device._THERE) == before + 1
    del array, tensor
    gc.collect()
    assert len(device._THERE) == before


def test_an_array_that_may_change_is_brought_each_time() -> None:
    array = np.zeros(3)
    with device.on("torch"):
        before = device.put(array)
        array[0] = 1
        assert device.put(array)[0] == 1
        assert device.put(array) is not before


def test_the_device_is_set_back_after_a_failure() -> None:
    with pytest.raises(ZeroDivisionError), device.on("torch"):
        _ = 1 / 0
    assert device.active() == "cpu"


class Card:
    """What torch and NVML say of a card, for a machine without one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.allocated, self.peak, self.energy_mj = 0, 0, 1000
        monkeypatch.setattr(device, "_active", "cuda")
        monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", self.forget)
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: self.peak)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda: SimpleNamespace(uuid="1234"))
        self.nvml = SimpleNamespace(
            NVMLError=RuntimeError,
            nvmlInit=lambda: None,
            nvmlDeviceGetHandleByUUID=lambda name: {"GPU-1234": "the card"}[name],
            nvmlDeviceGetTotalEnergyConsumption=lambda _: self.energy_mj,
        )
        monkeypatch.setitem(sys.modules, "pynvml", self.nvml)

    def forget(self) -> None:
        self.peak = self.allocated

    def use(self, mib: int, mj: int) -> None:
        self.peak = max(self.peak, self.allocated + mib * 2**20)
        self.energy_mj += mj


def test_each_measure_of_a_card_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(monkeypatch)
    first = device.Meter()
    card.use(mib=300, mj=5000)
    assert first.read(2.0) == device.Used(2.0, 300, 5.0)
    second = device.Meter()
    card.use(mib=100, mj=1000)
    assert second.read(1.0) == device.Used(1.0, 100, 1.0)


def test_a_share_of_a_card_is_billed_for_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(monkeypatch)
    with device.on("cpu", 0.25):
        monkeypatch.setattr(device, "_active", "cuda")
        meter = device.Meter()
        card.use(mib=100, mj=4000)
        assert meter.read(8.0) == device.Used(2.0, 100, 1.0)


def test_where_the_driver_does_not_tell_energy_it_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(monkeypatch)
    monkeypatch.setitem(sys.modules, "pynvml", None)  # not installed
    assert device.Meter().read(1.0) == device.Used(1.0, 0, None)
    monkeypatch.setitem(sys.modules, "pynvml", card.nvml)

    def refuses(_: str) -> None:
        raise RuntimeError("Not Supported")

    card.nvml.nvmlDeviceGetHandleByUUID = refuses
    assert device.Meter().read(1.0) == device.Used(1.0, 0, None)


def test_nothing_is_measured_on_the_cpu() -> None:
    assert device.Meter().read(1.0) is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
@pytest.mark.usefixtures("own_folder")
@pytest.mark.parametrize("engine", ["inline", "ray"])
def test_a_gpu_that_is_not_there_is_one_line(engine: str) -> None:
    grid = write_grid(Path("grid.yaml"), resources={"num_gpus": 1})
    said = invoke("run", "--grid", str(grid), "--engine", engine, "--mlflow", "off")
    assert said.status in (1, 2)
    assert said.err.count("\n") == 1
    assert said.err.startswith("error: resources: a trial asks for num_gpus: 1")
