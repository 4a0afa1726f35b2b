"""Where the pages on the Python API are read from: the albench that is installed, or on ``PYTHONPATH``.

The script ``mkdocs`` has its own folder first in Python's path, and there lies the script ``albench`` too: mkdocstrings
would take it for the package.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority


@event_priority(100)  # before mkdocstrings looks
def on_config(config: MkDocsConfig, **_: Any) -> MkDocsConfig:
    scripts = Path(sys.argv[0]).parent.resolve()
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != scripts]
    return config
