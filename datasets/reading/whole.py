"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def whole(path: Path, *, lasting: bool = False) -> Iterator[IO[bytes]]:
    """Open a file that takes its name when the block ends well; whatever else happens, nothing of it stays behind.

    Until then it is hidden beside its place, under a name that ends in ``.tmp``; the folder is made. With ``lasting``
    it is on the disk before it takes its name. A link that has its name is replaced, not followed. Errors of the
    disk are raised as they come.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.unlink(missing_ok=True)
        with unfinished.open("xb") as file:
            yield file
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
