"""Files brought from a server that works, half works, and does not."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from support.server import Server, serving

from albench.datasets.reading import downloads
from albench.datasets.reading import transfer as _transfer
from albench.datasets.reading.base import DataError, Step, silent
from albench.datasets.reading.downloads import Remote, check, fetch, home

CONTENT = np.random.default_rng(0).bytes(3_500_000)
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_transfer, "TIMEOUT", 0.3)
    monkeypatch.delenv("ALBENCH_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def good(**behaviour: object) -> AbstractContextManager[Server]:
    return serving(Server({"/file.bin": CONTENT}, **behaviour))  # type: ignore[arg-type] # fields of Server


def remote(server: Server, digest: str = f"md5:{MD5}") -> Remote:
    return Remote(f"{server.url}file.bin", digest, "file.bin")


def refused(files: list[Remote], folder: Path) -> list[str]:
    """Return why the files cannot be had; none may lie there under its own name that is not whole."""
    before = {path: path.read_bytes() for path in folder.glob("*.bin")}
    with pytest.raises(DataError) as caught:
        fetch(files, folder, "data", silent)
    assert {path: path.read_bytes() for path in folder.glob("*.bin")} == before
    assert all("\n" not in message for message in caught.value.messages)
    return caught.value.messages


def reason(files: list[Remote], folder: Path) -> str:
    """Return what stands between the brackets of the one message."""
    (message,) = refused(files, folder)
    start = f"data: file.bin (md5 {MD5}) is neither in {folder} nor can it be downloaded ("
    end = "); put it there, or set path"
    assert message.startswith(start)
    assert message.endswith(end)
    host, _, why = message.removeprefix(start).removesuffix(end).partition(": ")
    assert host.startswith("127.0.0.1:")
    return why


# --- a server that works


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_file_is_brought_once_with_its_progress(tmp_path: Path, algorithm: str) -> None:
    steps: list[Step] = []
    with good() as server:
        wanted = remote(server, f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}")
        for _ in range(2):
            assert fetch([wanted], tmp_path / "new", "data", steps.append) == [tmp_path / "new" / "file.bin"]
        assert server.asked == [("/file.bin", None)]
    assert (tmp_path / "new" / "file.bin").read_bytes() == CONTENT
    assert {(step.what, step.total, step.unit) for step in steps} == {("data: file.bin", 4, "MB")}
    assert [step.done for step in steps] == [1, 2, 3, 4]


def test_an_unfinished_file_is_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:3_000_000])
    with good() as server:
        fetch([remote(server)], tmp_path, "data", silent)
        assert server.asked == [("/file.bin", "bytes=3000000-")]
        assert server.sent == 500_000
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert not (tmp_path / "file.bin.part").exists()


@pytest.mark.parametrize("begun", [b"another file", CONTENT + b"more", CONTENT[:-1] + b"x"])
def test_an_unfinished_file_that_is_another_is_begun_again(tmp_path: Path, begun: bytes) -> None:
    (tmp_path / "file.bin.part").write_bytes(begun)
    with good() as server:
        fetch([remote(server)], tmp_path, "data", silent)
        assert server.asked[-1] == ("/file.bin", None)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_finished_file_that_was_not_renamed_is_not_brought_again(tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    with good() as server:
        fetch([remote(server)], tmp_path, "data", silent)
        assert server.sent == 0
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_damaged_file_is_brought_again(tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(CONTENT[:-1] + b"x")
    with good() as server:
        fetch([remote(server)], tmp_path, "data", silent)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


# --- a server that half works


def test_a_server_that_does_not_know_range_sends_all(tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:3_000_000])
    with good(ranges=False) as server:
        fetch([remote(server)], tmp_path, "data", silent)
        assert server.sent == len(CONTENT)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_connection_that_breaks_is_taken_up_again(tmp_path: Path) -> None:
    with good(cut=1_000_000) as server:
        fetch([remote(server)], tmp_path, "data", silent)
        assert [asked for _, asked in server.asked] == [None, *(f"bytes={n}000000-" for n in (1, 2, 3))]
        assert server.sent == len(CONTENT)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_server_that_never_gets_further_is_given_up(tmp_path: Path) -> None:
    with good(cut=1_000_000, ranges=False) as server:
        assert reason([remote(server)], tmp_path) == "the connection ended after 1,000,000 of 3,500,000 bytes"
    assert (tmp_path / "file.bin.part").read_bytes() == CONTENT[:1_000_000]  # for a better day


@pytest.mark.parametrize("sent", [0, 1_000_000])
def test_a_server_that_hangs_is_given_up(tmp_path: Path, sent: int) -> None:
    with good(hang=sent, ranges=False) as server:
        assert reason([remote(server)], tmp_path) == "no answer for 0.3 s"


def test_a_server_that_does_not_even_begin_to_answer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silence:
        url = f"http://127.0.0.1:{silence.getsockname()[1]}/file.bin"
        assert reason([Remote(url, f"md5:{MD5}", "file.bin")], tmp_path) == "no answer for 0.3 s"


def test_mirrors_are_asked_in_order_and_go_on_with_what_there_is(tmp_path: Path) -> None:
    with serving(Server({})) as without, good(cut=1_000_000, ranges=False) as breaks, good() as works:
        wanted = Remote(f"{without.url}a", f"md5:{MD5}", "file.bin", (f"{breaks.url}file.bin", f"{works.url}file.bin"))
        fetch([wanted], tmp_path, "data", silent)
        assert (without.asked, works.asked) == ([("/a", None)], [("/file.bin", "bytes=1000000-")])
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_public_http_address_is_asked_over_https_first() -> None:
    wanted = Remote("http://a/x", "md5:0", "x", ("https://b/x", "http://c/x"))
    over_https = ["https://a/x", "https://b/x", "https://c/x"]
    assert downloads._addresses(wanted, "data") == [*over_https, "http://a/x", "http://c/x"]


# --- a mirror of one's own


def test_the_mirror_of_the_user_is_asked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with good() as public, serving(Server({"/pre/data/file.bin": CONTENT})) as own:
        monkeypatch.setenv("ALBENCH_MIRROR", f"{own.url}pre")
        fetch([remote(public)], tmp_path, "data", silent)
        assert (own.asked, public.asked) == ([("/pre/data/file.bin", None)], [])


def test_what_the_mirror_lacks_is_had_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with good() as public, serving(Server({"/data/file.bin": b"an error page with status 200"})) as own:
        monkeypatch.setenv("ALBENCH_MIRROR", own.url)
        fetch([remote(public)], tmp_path, "data", silent)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("mirror", ["file:///srv", "ftp://host/", "host/folder", "https://", "http:// x"])
def test_a_mirror_that_is_no_web_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: str) -> None:
    monkeypatch.setenv("ALBENCH_MIRROR", mirror)
    (message,) = refused([Remote("http://127.0.0.1:9/x", f"md5:{MD5}", "file.bin")], tmp_path)
    assert message == f"ALBENCH_MIRROR is {mirror!r}; legal: the beginning of an http:// or https:// address"


# --- what cannot be had: one line, nothing half-written


def test_a_file_that_the_server_does_not_have(tmp_path: Path) -> None:
    with serving(Server({})) as server:
        assert reason([remote(server)], tmp_path) == "HTTP Error 404: Not Found"


def test_no_network(tmp_path: Path) -> None:
    with serving(Server({})) as server:
        pass  # nobody listens there now
    assert "refused" in reason([remote(server)], tmp_path)


def test_a_file_that_is_not_the_published_one(tmp_path: Path) -> None:
    wrong = hashlib.md5(b"other", usedforsecurity=False).hexdigest()
    with serving(Server({"/file.bin": b"other"})) as server:
        assert reason([remote(server)], tmp_path) == f"what it sends has md5 {wrong} (5 bytes)"
        assert len(server.asked) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin.lock"]


def test_a_damaged_file_that_cannot_be_brought_again_is_named(tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(b"other")
    with serving(Server({})) as server:
        (message,) = refused([remote(server)], tmp_path)
    assert message.startswith(
        f"data: file.bin (md5 {MD5}) is not what is in {tmp_path} (that has md5 795f3202b17cb6bc3d4b"
    )
    assert message.endswith(
        f"nor can it be downloaded ({server.url.split('/')[2]}: HTTP Error 404: Not Found); put it there, or set path"
    )


def test_all_that_is_missing_is_named_and_one_failure_is_enough(tmp_path: Path) -> None:
    with serving(Server({})) as server:
        files = [Remote(f"{server.url}{name}.bin", f"md5:{MD5}", f"{name}.bin") for name in "abc"]
        (tmp_path / "b.bin").write_bytes(CONTENT)
        first, last = refused(files, tmp_path)
        assert server.asked == [("/a.bin", None)]
    assert first.startswith("data: a.bin (md5 ")
    where = f"is neither in {tmp_path} nor can it be downloaded"
    assert last == f"data: c.bin (md5 {MD5}) {where} (not tried any more); put it there, or set path"


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/file.bin", "data:,x"])
def test_a_redirect_leads_to_the_web_only(tmp_path: Path, target: str) -> None:
    with serving(Server({}, redirects={"/file.bin": target})) as server:
        assert any(said in reason([remote(server)], tmp_path) for said in ("is not allowed", "unknown url type"))


def test_a_redirect_on_the_web_is_followed_with_the_range(tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    with good() as server, serving(Server({}, redirects={"/file.bin": f"{server.url}file.bin"})) as first:
        fetch([remote(first)], tmp_path, "data", silent)
        assert server.asked == [("/file.bin", "bytes=1000-")]
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").symlink_to("/dev/full")
    with good() as server:
        assert refused([remote(server)], tmp_path) == [f"cannot write {tmp_path / 'file.bin'}: No space left on device"]
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin.lock"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with good() as server:
        (message,) = refused([remote(server)], tmp_path / "file" / "below")
    assert message == f"cannot write {tmp_path / 'file' / 'below' / 'file.bin'}: Not a directory"


FETCHER = """
import sys
from pathlib import Path
from albench.datasets.reading.base import silent
from albench.datasets.reading.downloads import Remote, fetch
url, digest, folder = sys.argv[1:]
print("ready", flush=True)
fetch([Remote(url, digest, "file.bin")], Path(folder), "data", silent)
"""


def test_two_processes_bring_it_once(tmp_path: Path) -> None:
    gate = threading.Event()
    with good(gate=gate) as server:
        command = [sys.executable, "-c", FETCHER, f"{server.url}file.bin", f"md5:{MD5}", str(tmp_path)]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        time.sleep(0.3)  # for a second request, were there one
        gate.set()
        for process in processes:
            process.communicate(timeout=60)
        assert [process.returncode for process in processes] == [0, 0]
        assert server.asked == [("/file.bin", None)]
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_files_are_checked_where_they_lie(tmp_path: Path) -> None:
    files = [Remote("", f"md5:{MD5}", f"{name}.bin") for name in "abc"]
    (tmp_path / "a.bin").write_bytes(CONTENT)
    (tmp_path / "c.bin").write_bytes(CONTENT[:10])
    with pytest.raises(DataError) as caught:
        check(files, tmp_path, "data")
    missing, wrong = caught.value.messages
    assert missing == f"data: b.bin (md5 {MD5}) is not in {tmp_path}"
    assert wrong.startswith(f"data: {tmp_path / 'c.bin'} has md5 ")
    assert wrong.endswith(f" (10 bytes), not md5 {MD5}: truncated, or another file")
    assert check(files[:1], tmp_path, "data") == [tmp_path / "a.bin"]


def test_files_are_kept_in_the_cache(cache: Path) -> None:
    assert home("cifar10") == cache / "datasets" / "cifar10"
