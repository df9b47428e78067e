"""``ffs eval`` and ``ffs compare`` on lists, images, truth and results by URL, as on files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import ffs, tree
from http_store import http_store
from shifted_pairs import shifted_pairs

fsspec = pytest.importorskip("fsspec")

WRITTEN = {"results.json", "per_sample_results.json", "report.html"}


def put(pairs: Path, files: dict[str, bytes], url: str, memory: str) -> None:
    """The pairs in fsspec's memory, every second one on an HTTP server instead. Both have the list, that in memory with
    relative names of what lies beside it."""
    system = fsspec.filesystem("memory")
    whole, beside = "", ""
    for number, line in enumerate(pairs.read_text().splitlines()):
        names = [str(Path(path).relative_to(pairs.parent)) for path in line.split()]
        for name in names:
            content = (pairs.parent / name).read_bytes()
            if number % 2:
                files[f"/{name}"] = content
            else:
                system.pipe_file(f"/bucket/{name}", content)
        urls = " ".join(f"{url if number % 2 else memory}/{name}" for name in names)
        whole += f"{urls}\n"
        beside += f"{urls if number % 2 else ' '.join(names)}\n"
    files["/list.txt"] = whole.encode()
    system.pipe_file("/bucket/list.txt", beside.encode())


@pytest.mark.parametrize("verb", [("eval", "sgbm"), ("compare", "sgbm", "sgbm")], ids=["eval", "compare"])
def test_everything_in_stores(
    verb: tuple[str, ...],
    memory: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The figures of files; where nobody may remove anything, as on this server, the results are there as well."""
    monkeypatch.chdir(tmp_path)
    pairs = shifted_pairs(tmp_path / "data", 3, with_truth=True)
    options = ("--max-disparity", 32, "--workers", 1)
    assert ffs(*verb, "--list", pairs, "-o", "here", *options) == 0
    expected = json.loads(Path("here/results.json").read_text())
    with http_store() as (url, files):
        put(pairs, files, url, memory)
        system = fsspec.filesystem("memory")
        for source in (memory, url):
            for out in (f"{memory}/out", f"{url}/out", "out"):
                assert ffs(*verb, "--list", f"{source}/list.txt", "-o", out, *options) == 0, capsys.readouterr().err
            written = tree(Path("out"))
            assert set(written) == WRITTEN
            found = json.loads(written["results.json"])
            assert {**found, "pairs_of": ""} == {**expected, "pairs_of": ""}
            assert {name: system.cat_file(f"/bucket/out/{name}") for name in WRITTEN} == written
            assert {name: files[f"/out/{name}"] for name in WRITTEN} == written
            said = json.loads(system.cat_file("/bucket/out/status.json").splitlines()[-1])
            assert said["status"] == "SUCCESS"
        assert not system.glob("/bucket/out/parts/*")
        assert ffs(*verb, "--list", f"{url}/none.txt", "-o", "none", *options) == 2
        assert f"cannot read {url}/none.txt: there is no such file; check the name" in capsys.readouterr().err
        del files["/p001/right.png"]
        system.rm_file("/bucket/p000/truth.pfm")
        system.pipe_file("/bucket/p002/left.png", b"no picture")
        assert ffs(*verb, "--list", f"{memory}/list.txt", "-o", "none", *options) == 2
        said_here = capsys.readouterr().err.splitlines()
    for line, said in zip(said_here, (
        f"ffs: cannot read {memory}/p000/truth.pfm: there is no such file; check the name",
        f"ffs: cannot read {url}/p001/right.png: there is no such file; check the name",
        f"ffs: {memory}/p002/left.png is damaged or not a picture (10 bytes)",
    ), strict=True):  # fmt: skip
        assert line.startswith(said)
    assert not Path("none").exists()
