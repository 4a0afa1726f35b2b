"""The documentation is built as CI builds it; what it links to is there, what it says of albench is albench's."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from click import Context
from support import pages
from support.commands import TINY, run, write_grid

from albench.benchmark import registry
from albench.benchmark.grid import grid as grids
from albench.benchmark.lesson import Regime
from albench.benchmark.query import FROM_THE_MODEL, FROM_THE_TRIAL
from albench.benchmark.types import Outcome
from albench.cli import main

FILES = pages.ROOT / "docs" / "files"


class Links(HTMLParser):
    """The ids of a page and the addresses it asks for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value for name, value in attrs if value}
        self.ids |= {said[name] for name in ("id", "name") if name in said}
        if tag != "base":
            self.links |= {said[name] for name in ("href", "src") if name in said}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the site, built with the report of a small run as its gallery."""
    folder = tmp_path_factory.mktemp("site").resolve()
    assert run(write_grid(folder / "grid.yaml", **TINY), folder / "run").status == 0
    command = [str(Path(sys.executable).with_name("mkdocs")), "build", "--strict", "--site-dir", str(folder / "built")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALBENCH_DOCS_RUN", str(folder / "run"))
        done = subprocess.run(command, cwd=pages.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "built"


def test_every_link_leads_somewhere(site: Path) -> None:
    """Pages, files and places in them; of other sites only that the address is one, for there may be no network."""
    read = {path: Links(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    assert len(read) > len(pages.PAGES)
    dead: list[tuple[str, str]] = []
    for page, found in read.items():
        for link in found.links:
            said = urlsplit(link)
            if said.scheme or said.netloc:
                sound = said.scheme in {"https", "mailto", "data"} or said.netloc.startswith("127.0.0.1")
                dead += [] if sound else [(page.name, link)]
                continue
            path = unquote(said.path)
            target = site / path.lstrip("/") if path.startswith("/") else (page.parent / path if path else page)
            target = (target / "index.html" if target.is_dir() else target).resolve()
            there = target.exists() and (
                not said.fragment or target not in read or unquote(said.fragment) in read[target].ids
            )
            dead += [] if there or page.name == "404.html" else [(str(page.relative_to(site)), link)]
    assert not dead


def test_the_gallery_is_a_report_of_albench(site: Path) -> None:
    assert "<title>albench" in (site / "gallery" / "report.html").read_text(encoding="utf-8")


def test_plugins_and_commands_are_all_there(site: Path) -> None:
    for kind in ("strategies", "learners", "encoders", "datasets"):
        plugins = getattr(registry, kind)
        ids = Links((site / kind / "index.html").read_text(encoding="utf-8")).ids
        assert set(plugins.names()) <= ids, f"{kind}: {set(plugins.names()) - ids}"
    text = (site / "commands" / "index.html").read_text(encoding="utf-8")
    options = {
        param.opts[0]
        for command in main.commands.values()
        for param in command.params
        if param.param_type_name == "option"
    }
    assert {name for name in (*main.list_commands(Context(main)), *options) if name not in text} == set()
    assert "derived:" not in "".join(path.read_text(encoding="utf-8") for path in site.rglob("index.html"))


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("concepts", list(Regime)),
        ("files", list(Outcome)),
        ("grid", [f"`{key}`" for key in grids.KEYS]),
        ("rule", [f"`{need}`" for need in (*FROM_THE_MODEL, *FROM_THE_TRIAL)]),
    ],
)
def test_what_a_page_lists_by_hand_is_all_that_there_is(page: str, names: list[str]) -> None:
    text = (pages.ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert [name for name in names if name not in text] == []


def test_files_to_copy_are_what_they_say() -> None:
    for path in FILES.glob("*.sh"):
        subprocess.run(["bash", "-n", path], check=True)
    volume, held, job = yaml.safe_load_all((FILES / "rayjob.yaml").read_text(encoding="utf-8"))
    assert [each["kind"] for each in (volume, held, job)] == ["PersistentVolumeClaim", "ConfigMap", "RayJob"]
    assert grids.parse(held["data"]["grid.yaml"], "rayjob.yaml").name == "my-study"
    cluster = job["spec"]["rayClusterSpec"]
    image = f"rayproject/ray:{cluster['rayVersion']}"
    assert f"FROM {image}" in (FILES / "Dockerfile").read_text(encoding="utf-8")
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        mounted = {mount["name"] for each in pod["containers"] for mount in each["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_the_commands_of_files_to_copy_are_commands_of_albench() -> None:
    """Their options are asked of click, and not of a cluster."""
    said = [
        line
        for path in FILES.iterdir()
        for line in path.read_text(encoding="utf-8").splitlines()
        if "albench run" in line
    ]
    assert len(said) == 2
    known = {option for param in main.commands["run"].params for option in param.opts}
    for line in said:
        assert {word for word in line.split() if word.startswith("--")} <= known


def test_ray_takes_the_file_of_its_launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    for name in (".ray/auth_token", ".ssh/id_ed25519", "albench/pyproject.toml"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    config = yaml.safe_load((FILES / "cluster.yaml").read_text(encoding="utf-8"))
    validate_config(prepare_config(config))
    with pytest.raises(Exception, match="unknown_key"):
        validate_config(prepare_config({**config, "unknown_key": 1}))
