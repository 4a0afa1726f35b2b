"""Where arrays live: brought to a device once, back without a copy where none is needed, and refused where none is."""

import gc
from pathlib import Path

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


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
@pytest.mark.usefixtures("own_folder")
@pytest.mark.parametrize("engine", ["inline", "ray"])
def test_a_gpu_that_is_not_there_is_one_line(engine: str) -> None:
    grid = write_grid(Path("grid.yaml"), resources={"num_gpus": 1})
    said = invoke("run", "--grid", str(grid), "--engine", engine, "--mlflow", "off")
    assert said.status in (1, 2)
    assert said.err.count("\n") == 1
    assert said.err.startswith("error: resources: a trial asks for num_gpus: 1")
