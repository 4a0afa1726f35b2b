"""Plugins of other packages, installed as pip would leave them: a module and its entry point."""

import os
from pathlib import Path


def install(site: Path, group: str, name: str, target: str, source: str) -> dict[str, str]:
    """Write the module of ``target`` (``module:Class``); return the environment in which it is installed."""
    module = target.partition(":")[0]
    (site / f"{module}.py").write_text(source, encoding="utf-8")
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {target}\n", encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])}
