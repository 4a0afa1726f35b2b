"""A learner on GPUs that are made up, as a plugin of another package: where it is loaded, the CPU stands for them.

Ray is told that there are so many (``two_nodes.py --cards``), and hands them out. What a learner holds of its card lies
in a file of that card; a learner for which there is no room raises what torch would.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .plugins import install

SOURCE = '''
"""Made-up cards."""
import fcntl, json, os, time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from albench.benchmark import device, loop
from albench.benchmark.learners.linear import Linear
from albench.benchmark.registry import learner

CARD_MB = 16_000.0
_on, _active = device.on, False
_held_mb = 0.0


class OutOfMemoryError(RuntimeError):
    """As torch's is called, which takes seconds to import."""


@contextmanager
def on(name, share=1.0):
    global _active
    before, _active = _active, name == "cuda"
    with _on("cpu", share):
        yield
    _active = before


class Meter:
    def read(self, seconds):
        return device.Used(seconds * device._share, _held_mb, None) if _active else None


device.on, loop.Meter = on, Meter
device.called = lambda: "made-up card" if _active else "cpu"
device.filled = lambda peak_mb: device.Filled(peak_mb, CARD_MB) if _active else None


@contextmanager
def holders(card):
    """Give those who hold something of the card, {pid: MB}, for this process alone to change."""
    with card.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        held = json.loads(file.read() or "{}")
        yield held
        file.truncate(0)
        file.write(json.dumps(held))


@learner("hungry", cite="")
@dataclass(frozen=True)
class Hungry:
    """Linear, and it holds so much of its card, which it may not share."""

    need_mb: float = 4000.0
    shares: bool = True
    log: str = field(default="", metadata={"path": True})

    gives = Linear().gives

    def fit(self, lesson):
        if _active:
            self._hold()
        return Linear().fit(lesson)

    def _hold(self):
        global _held_mb
        node, cards = os.environ["NODE"], os.environ["CUDA_VISIBLE_DEVICES"]
        me, card = str(os.getpid()), Path(f"{self.log}.{node}.{cards}")
        with holders(card) as held:
            if sum(held.values()) + self.need_mb > CARD_MB or (device._share < 1 and not self.shares):
                raise OutOfMemoryError(f"CUDA out of memory. Tried to allocate {self.need_mb:g} MiB.")
            held[me] = _held_mb = self.need_mb
            said = {"node": node, "cards": cards, "share": device._share, "at_once": len(held)}
        time.sleep(0.1)
        with open(self.log, "a") as file:
            file.write(json.dumps(said) + "\\n")
        with holders(card) as held:
            del held[me]
'''


def install_made_up_cards(site: Path) -> dict[str, str]:
    """Return the environment in which the learner ``hungry`` is installed."""
    return install(site, "albench.learners", "hungry", "made_up_cards:Hungry", SOURCE)


def fits(log: Path) -> list[dict[str, Any]]:
    """Return what each fit wrote down: where it ran, its share of the card, how many held something of it then."""
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
