"""Modules of one's own: ``my_rules:MyRule`` of a file beside the grid, or of a module that is installed.

A module beside the grid is loaded by its file, and its folder is never put where Python looks: nothing else there can
take the place of a library. It is known by its source and that of the files beside it that it imports (`digest_of`),
and travels to workers as text (`carried`, `hold`), so that no node needs the file.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from . import raised

LARGEST = 2**20  # bytes of a file of source
MOST = 1000  # files of a package

_beside: ContextVar[tuple[Path, ...]] = ContextVar("beside", default=())


class OwnError(Exception):
    """A module of one's own cannot be had; ``str()`` is one line that says why."""


@dataclass(frozen=True)
class File:
    """The file of a module: where it lay, what was in it, whether it makes a package."""

    path: str
    content: bytes
    is_package: bool = False


@dataclass(frozen=True)
class Source:
    """What a module is made of: ``files``, its own and those beside it that it imports, by the names of their modules.

    ``digests`` says for each top-level module of them what all that it is made of hashes to. An ``installed`` module
    is its own files alone, which do not travel: ``files`` is empty.
    """

    module: str
    files: Mapping[str, File] = field(repr=False)
    digests: Mapping[str, str]
    installed: bool = False


@contextmanager
def beside(folder: Path) -> Iterator[None]:
    """Look for modules in this folder, before the current one."""
    token = _beside.set((folder, *_beside.get()))
    try:
        yield
    finally:
        _beside.reset(token)


def is_reference(module: str, name: str) -> bool:
    """Return whether ``module:name`` could be a class, by its letters."""
    return name.isidentifier() and all(map(str.isidentifier, module.split(".")))


def exists(module: str) -> bool:
    """Return whether there is such a module, as far as that is seen without importing anything."""
    top = _top(module)
    return any(_file(top, folder) for folder in _folders()) or _elsewhere(top, None) is not None


def find(module: str) -> Source:
    """Return the source of a module: of the grid's folder, else of the current one, else of an installed one.

    Raises
    ------
    OwnError
        When there is none, it cannot be read as Python, or an installed module has its name.
    """
    top = _top(module)
    for folder in _folders():
        if path := _file(top, folder):
            if (other := _elsewhere(top, folder)) is not None:
                raise OwnError(f"{path} has the name of an installed module ({other}); rename it")
            files = _closure(top, folder)
            return Source(top, files, {name: _digest(_reached(name, files)) for name in set(map(_top, files))})
    origin = _elsewhere(top, None)
    if origin is None:
        where = " or ".join(map(str, _folders()))
        here = [path.stem for folder in _folders() for path in folder.glob("*.py")]
        near = difflib.get_close_matches(top, here, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise OwnError(f"there is no module {top!r} in {where}, and none is installed{hint}")
    path = Path(origin)
    if path.suffix != ".py":
        raise OwnError(f"the module {top!r} has no source in Python ({origin})")
    files = _files(top, path.parent.parent if path.stem == "__init__" else path.parent)
    return Source(top, {}, {top: _digest(files)}, installed=True)


def clash(module: str) -> str | None:
    """Return where Python itself finds a module that one of the current folder would clash with; None where nowhere."""
    return _elsewhere(module, Path.cwd().resolve())


def hold(source: Source) -> None:
    """Let this process import a module as it is in ``source``; what it has loaded of an earlier state is forgotten.

    Raises
    ------
    OwnError
        When an installed module has changed since it was held.
    """
    before = _held.get(source.module)
    if before is not None and before.digests == source.digests:
        return
    if before is not None and source.installed:
        raise OwnError(f"the module {source.module!r} has changed since it was loaded; start Python anew")
    for name in {*(before.files if before else ()), *source.files}:
        sys.modules.pop(name, None)
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)  # it knows no other names than these
    _held.pop(source.module, None)  # the last one held answers first
    _held[source.module] = source


def load(module: str) -> dict[str, type]:
    """Import a module as it is now and return its classes.

    Raises
    ------
    OwnError
        When there is no such module, or whatever it raises.
    """
    hold(find(module))
    try:
        found = vars(importlib.import_module(module))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a stranger's
        raise OwnError(f"cannot be imported: {raised.line(error)}") from error
    return {name: value for name, value in found.items() if isinstance(value, type)}


def carried() -> tuple[Source, ...]:
    """Return all that this process holds: what another is to `hold` before it takes a trial."""
    return tuple(_held.values())


def digest_of(module: str) -> str:
    """Return the digest of the source that a module is from; empty where it is none of one's own."""
    digests = (source.digests.get(_top(module), "") for source in reversed(_held.values()))
    return next(filter(None, digests), "")


def _top(module: str) -> str:
    return module.partition(".")[0]


def _folders() -> list[Path]:
    return list(dict.fromkeys(folder.resolve() for folder in (*_beside.get(), Path.cwd())))


def _file(top: str, folder: Path) -> Path | None:
    """Return the file of a module or of a package in a folder."""
    candidates = (folder / top / "__init__.py", folder / f"{top}.py")
    return next((path for path in candidates if path.is_file()), None)


def _elsewhere(top: str, folder: Path | None) -> str | None:
    """Return where Python itself finds a module of this name, other than in ``folder``; None where it does not."""
    if top in sys.stdlib_module_names:
        return "Python's own"
    for finder in sys.meta_path:
        if finder is _FINDER or not hasattr(finder, "find_spec"):
            continue
        path = [each for each in sys.path if Path(each or ".").resolve() != folder] if finder is PathFinder else None
        spec = finder.find_spec(top, path)
        if spec is None or spec.origin is None:  # a folder without __init__.py
            continue
        if folder is None or folder not in Path(spec.origin).resolve().parents:
            return spec.origin
    return None


def _closure(top: str, folder: Path) -> dict[str, File]:
    """Return the files of a module and of all beside it that it imports, however deep."""
    found, open_ = dict[str, File](), [top]
    while open_:
        name = open_.pop()
        if name not in found and (path := _file(name, folder)) and (name == top or _elsewhere(name, folder) is None):
            own = _files(name, path.parent.parent if path.stem == "__init__" else path.parent)
            found |= own
            open_ += [imported for file in own.values() for imported in _imports(file)]
    return found


def _reached(top: str, files: Mapping[str, File]) -> dict[str, File]:
    """Return those of the files that a module is made of."""
    found, open_ = dict[str, File](), [top]
    while open_:
        name = open_.pop()
        own = {each: file for each, file in files.items() if _top(each) == name and each not in found}
        found |= own
        open_ += [imported for file in own.values() for imported in _imports(file)]
    return found


def _files(top: str, folder: Path) -> dict[str, File]:
    """Return the file of a module, or all of a package."""
    package = folder / top
    if not (package / "__init__.py").is_file():
        return {top: _read(folder / f"{top}.py", is_package=False)}
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        found[".".join(parts[:-1] if is_package else parts)] = _read(path, is_package)
        if len(found) > MOST:
            raise OwnError(f"{package} has more than {MOST} files of Python")
    return found


def _read(path: Path, is_package: bool) -> File:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise OwnError(f"{path} cannot be read ({error.strerror or error})") from error
    if len(content) > LARGEST:
        raise OwnError(f"{path} is longer than {LARGEST:,} bytes")
    return File(str(path), content, is_package)


def _imports(file: File) -> set[str]:
    """Return the top-level modules that a file names in its imports."""
    try:
        nodes = [*ast.walk(ast.parse(file.content, file.path))]
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise OwnError(f"{file.path}{line}: {error.args[0]}") from error
    whole = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    parts = [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return set(map(_top, (*whole, *parts)))


def _digest(files: Mapping[str, File]) -> str:
    whole = hashlib.sha256()
    for name, file in sorted(files.items()):
        whole.update(f"{name}\0{len(file.content)}\0".encode() + file.content)
    return whole.hexdigest()[:16]


_held: dict[str, Source] = {}


class _Finder(MetaPathFinder, InspectLoader):
    """Finds the modules that are held, and loads them from their text."""

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if (file := self._file(fullname)) is None:
            return None
        spec = ModuleSpec(fullname, self, origin=file.path, is_package=file.is_package)
        spec.has_location = True  # a traceback says the file
        return spec

    def is_package(self, fullname: str) -> bool:
        return self._known(fullname).is_package

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(self._known(fullname).content)

    def get_code(self, fullname: str) -> CodeType:
        file = self._known(fullname)
        code: CodeType = compile(file.content, file.path, "exec", dont_inherit=True)
        return code

    def _file(self, module: str) -> File | None:
        files = (source.files.get(module) for source in reversed(_held.values()))
        return next(filter(None, files), None)

    def _known(self, module: str) -> File:
        if (file := self._file(module)) is None:
            raise ImportError(f"no module {module!r} is held", name=module)
        return file


_FINDER = _Finder()
