"""An encoder with a new name: nothing that was made under the former one is lost, moved or made again."""

from pathlib import Path

import pyarrow as pa
import pytest
from support.commands import invoke, write_grid

from albench.benchmark.grid import grid as grids
from albench.benchmark.grid.study import resolve
from albench.benchmark.types import Part
from albench.results.measures.evidence import read_runs
from albench.results.record import parts
from albench.results.record.schema import renamed
from albench.results.record.store import RunStore

pytestmark = pytest.mark.usefixtures("own_folder")


def test_a_grid_may_say_the_former_name_and_means_the_same_trials() -> None:
    said = {"datasets": ["wine"], "strategies": ["random"]}
    former, now = (
        resolve(grids.load(write_grid(Path(f"{name}.yaml"), embeddings=[name], **said))) for name in ("pixels", "raw")
    )
    assert [t.trial_id for t in former.trials] == [t.trial_id for t in now.trials]
    assert {t.embedding.label for t in former.trials} == {"raw"}
    assert former.sources.keys() == now.sources.keys()
    assert Part("raw", was="pixels").identity() == Part("pixels").identity() != Part("raw").identity()


def test_labels_of_before_are_read_under_the_new_name() -> None:
    labels = ["pixels", "pixels(scale=standard)", "pixels -> pca", "simclr -> pixels", "superpixels", "simclr"]
    table = pa.table({"embedding": pa.array(labels), "n": range(6)})
    assert renamed(table)["embedding"].to_pylist() == [
        *("raw", "raw(scale=standard)", "raw -> pca", "simclr -> raw", "superpixels", "simclr")
    ]
    assert renamed(table.select(["n"])) == table.select(["n"])


def test_a_run_of_before_goes_on_under_the_new_name() -> None:
    """Its rows say ``pixels``; the second half of the seeds is run now, and both are one row of the report."""
    write_grid(Path("grid.yaml"), datasets=["wine"], embeddings=["pixels"], strategies=["random"], seeds=1)
    assert invoke("run", "--grid", "grid.yaml", "--engine", "inline", "--mlflow", "off", "--out", "run").status == 0
    for folder in ("rounds", "trials"):
        for part in parts.list_parts(Path("run") / folder):
            table = parts.read_part(part)
            place = table.schema.get_field_index("embedding")
            before = pa.array(["pixels"] * len(table))
            parts.write_part(part, table.set_column(place, table.schema.field(place), before))
    write_grid(Path("grid.yaml"), datasets=["wine"], embeddings=["raw"], strategies=["random"], seeds=2)
    assert invoke("run", "--grid", "grid.yaml", "--engine", "inline", "--mlflow", "off", "--out", "run").status == 0
    rounds = RunStore.open(Path("run")).rounds()
    assert set(rounds["embedding"]) == {"raw"}
    (cell,) = read_runs([Path("run")]).summarise().cells.values()
    assert cell.n == 2
    assert not cell.status
