"""The gallery: the report of a real run with its tables, laid beside the pages as albench wrote them.

The run is that of ``ALBENCH_DOCS_RUN``; without it the default grid in ``runs/grid``, which is run first where it was
not (about a minute; what is done is not done again).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

RUN = "ALBENCH_DOCS_RUN"
DEFAULT = Path("runs/grid")
FOLDER = "gallery"


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    report = Path(os.environ.get(RUN, DEFAULT)) / "report" / "report.html"
    if not report.exists():
        if RUN in os.environ:
            raise PluginError(f"{RUN}: {report} is not there; albench report writes it")
        command = [
            sys.executable,
            "-m",
            "albench",
            "run",
            "--grid",
            "default",
            "--out",
            str(DEFAULT),
            "--mlflow",
            "off",
        ]
        subprocess.run(command, check=True)  # noqa: S603 - our own program
    for path in sorted(report.parent.rglob("*")):
        if path.is_file() and path.suffix != ".md":  # which would become a page
            place = Path(FOLDER, path.relative_to(report.parent)).as_posix()
            files.append(File.generated(config, place, abs_src_path=str(path)))
    return files
