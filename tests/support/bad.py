"""A rule that does whatever harm its parameter names, as a plugin of another package."""

from __future__ import annotations

from pathlib import Path

from .plugins import install

SOURCE = '''
"""Bad rules."""
import ctypes, os, signal, subprocess, sys, time
from dataclasses import dataclass
from pathlib import Path
import numpy as np
from albench.benchmark.registry import strategy


class NoText(Exception):
    def __str__(self):
        raise SystemExit("no text")


class NotAString(Exception):
    def __str__(self):
        return 7


class Trick(str):
    def split(self, *_):
        raise RuntimeError("a string that is not one")
    encode = strip = __getitem__ = __len__ = __format__ = split


class Tricky(Exception):
    def __str__(self):
        return Trick("a trick")


class Endless(Exception):
    @property
    def __cause__(self):
        return Endless()


class Base(BaseException):
    pass


class Unpicklable(Exception):
    def __init__(self, first, second):
        super().__init__(first)
    def __reduce__(self):
        raise TypeError("not me")


class Array(np.ndarray):
    def __reduce__(self):
        raise TypeError("nor me")


def chain():
    error = ValueError(0)
    for number in range(50_000):
        error, error.__cause__ = ValueError(number), error
    raise error


def deep(n=0):
    return deep(n + 1)


def sleep_on():
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    time.sleep(1e6)


def swallow():
    while True:
        try:
            time.sleep(1e6)
        except BaseException:
            pass


def hold():
    """Hang in C and hold the interpreter: no other thread of the process runs again."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    ctypes.PyDLL(None).sleep(1_000_000)


def daemon():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", os.environ["LEFT"]])
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", os.environ["LEFT"]])
        os._exit(0)
    time.sleep(0.2)


def raise_(error):
    raise error


HARM = {
    "no-text": lambda: raise_(NoText()),
    "not-a-string": lambda: raise_(NotAString()),
    "tricky": lambda: raise_(Tricky()),
    "endless": lambda: raise_(Endless("causes")),
    "chain": chain,
    "deep": deep,
    "base": lambda: raise_(Base("base")),
    "exit": lambda: sys.exit(3),
    "generator-exit": lambda: raise_(GeneratorExit()),
    "interrupt": lambda: raise_(KeyboardInterrupt("mine")),
    "stop": lambda: next(iter(())),
    "unpicklable": lambda: raise_(Unpicklable("a", "b")),
    "group": lambda: raise_(BaseExceptionGroup("both", [Base("one"), ValueError("two")])),
    "surrogate": lambda: raise_(RuntimeError("cannot read " + os.fsdecode(b"caf\\xe9.png"))),
    "controls": lambda: raise_(RuntimeError("a\\x00b\\x1b[31mc\\ud800")),
    "huge": lambda: raise_(RuntimeError("x" * 50_000_000)),
    "memory": lambda: raise_(MemoryError("enough")),
    "segfault": lambda: ctypes.string_at(0),
    "os-exit": lambda: os._exit(7),
    "sleep": sleep_on,
    "swallow": swallow,
    "hold": hold,
    "daemon": daemon,
    "daemon-and-die": lambda: (daemon(), os.kill(os.getpid(), signal.SIGKILL)),
    "array": lambda: None,
}


@strategy("bad", cite="")
@dataclass(frozen=True)
class Bad:
    """A bad rule."""
    how: str = "base"

    def select(self, query):
        HARM[self.how]()
        picks = query.rng.choice(query.unlabelled, query.n, replace=False)
        return picks.view(Array) if self.how == "array" else picks


@strategy("stuck", cite="")
@dataclass(frozen=True)
class Stuck:
    """A rule that cannot be unpickled but where it was made."""
    how: str = "raises"

    def __post_init__(self):
        object.__setattr__(self, "home", os.getpid())

    def __setstate__(self, state):
        if os.getpid() != state["home"]:
            {"raises": lambda: raise_(RuntimeError("not here")), "exits": lambda: sys.exit(5)}[state["how"]]()
        self.__dict__.update(state)

    def select(self, query):
        return query.rng.choice(query.unlabelled, query.n, replace=False)
'''


def install_bad(site: Path) -> dict[str, str]:
    """Return the environment in which the rules ``bad`` and ``stuck`` are installed."""
    environment = install(site, "albench.strategies", "bad", "bad_rules:Bad", SOURCE)
    entry = site / "bad_rules-1.0.dist-info" / "entry_points.txt"
    entry.write_text(entry.read_text(encoding="utf-8") + "stuck = bad_rules:Stuck\n", encoding="utf-8")
    return environment
