"""A local Ray is for this run alone; a cluster takes in who has its token, and nobody else."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from conftest import Program
from support.commands import write_grid

SHADOWS = ("random", "queue", "select", "numpy", "datasets", "types")
RAY = str(Path(sys.executable).with_name("ray"))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a home folder, with Ray's folder and nothing else in it, whose path leaves room for sockets."""
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder + "/r")
        monkeypatch.setenv("HOME", folder)
        monkeypatch.delenv("RAY_AUTH_MODE", raising=False)  # Ray sets it where a test has started it in this process
        yield Path(folder)


def listening(process: psutil.Process) -> set[str]:
    found = set()
    for each in [process, *process.children(recursive=True)]:
        try:
            found |= {c.laddr.ip for c in each.net_connections() if c.status == psutil.CONN_LISTEN}
        except psutil.Error:
            continue
    return found


def test_a_local_run_is_alone_and_says_when_its_ray_dies(albench: Program, own_folder: Path, short: Path) -> None:
    for name in SHADOWS:
        Path(f"{name}.py").write_text("def sample(pool, n):\n    return pool[:n]\n", encoding="utf-8")
    grid = write_grid(Path("grid.yaml"), seeds=2000)
    run = ("run", "--grid", grid, "--out", "out", "--mlflow", "off", "--workers", 1)
    process = albench.start(*run, env={"PYTHONSAFEPATH": "1"})  # as the installed program, unlike python -m
    while not list(Path("out").glob("rounds/part-*")):  # workers find their own modules
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    driver = psutil.Process(process.pid)
    assert {address.removeprefix("::ffff:") for address in listening(driver)} == {"127.0.0.1"}
    family = driver.children(recursive=True)
    next(each for each in family if each.name() == "raylet").kill()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (
        1,
        "error: Ray has died on this machine (its process raylet was ended by SIGKILL); what is done is kept;"
        " the same command goes on\n",
    )
    assert not psutil.wait_procs(family, timeout=5)[1]
    assert list((short / "r").iterdir()) == []
    assert (short / ".ray" / "auth_token").stat().st_mode & 0o777 == 0o600


def test_a_cluster_takes_in_who_has_its_token(albench: Program, own_folder: Path, short: Path) -> None:
    token = short / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("0123456789abcdef" * 4, encoding="ascii")
    grid = write_grid(Path("grid.yaml"))
    run = ("run", "--grid", grid, "--mlflow", "off", "--out")
    start = [RAY, "start", "--head", "--port=0", "--num-cpus=1", "--include-dashboard=false", "--disable-usage-stats"]
    subprocess.run(start, check=True, capture_output=True)
    try:
        status, _, err = albench.run(*run, "out", "--address", "auto")
        assert (status, err) == (0, "")
        address = (short / "r" / "ray" / "ray_current_cluster").read_text(encoding="utf-8").strip()
        token.unlink()
        status, _, err = albench.run(*run, "other", "--address", address)
        assert (status, err.count("\n")) == (1, 1)
        assert "asks for a token, and there is none here: copy ~/.ray/auth_token" in err
        status, _, err = albench.run(*run, "other", "--address", address, env={"RAY_AUTH_TOKEN": "wrong"})
        assert (status, err.count("\n")) == (1, 1)
        assert "the token here the cluster's?" in err
    finally:
        for process in psutil.process_iter():
            try:
                if process.environ().get("RAY_TMPDIR") == os.environ["RAY_TMPDIR"] and process.pid != os.getpid():
                    process.kill()
            except psutil.Error:
                continue


def test_a_dead_address_is_a_line(albench: Program, own_folder: Path) -> None:
    grid = write_grid(Path("grid.yaml"))
    began = time.monotonic()
    status, _, err = albench.run("run", "--grid", grid, "--out", "out", "--mlflow", "off", "--address", "127.0.0.1:9")
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith("error: Ray at 127.0.0.1:9: [Errno 111] Connection refused; is a cluster running there")
    assert time.monotonic() - began < 60
