"""What all tests share: one thread, a cache of their own, and no clock in property tests."""

import os
from collections.abc import Iterator
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # as the command line does it, before numpy is loaded

import pytest
from hypothesis import settings

settings.register_profile("albench", deadline=None, derandomize=True)  # machines are shared; a red run can be repeated
settings.load_profile("albench")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        cache = tmp_path_factory.mktemp("cache")
        patch.setenv("ALBENCH_CACHE", str(cache))
        yield cache
