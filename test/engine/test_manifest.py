"""The JSON beside an engine: what is wrong is found before a runtime sees the file, and answered with a command."""

from __future__ import annotations

import errno
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_tensorrt import fake_manifest

from ffs_ros.engine import open_engine
from ffs_ros.engine.manifest import install, manifest_path, note_proof, owed_proof_path, read_engine, read_manifest
from ffs_ros.errors import EngineError, FileError

PLAN = b"an engine" * 100


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An installed engine."""
    path = tmp_path / "bp2.engine"
    install(path, PLAN, fake_manifest(PLAN))
    return path


def test_what_is_installed_is_read_again(path: Path) -> None:
    """Every entry survives, and the folder holds two files."""
    assert read_engine(path) == (fake_manifest(PLAN), PLAN)
    assert sorted(file.name for file in path.parent.iterdir()) == ["bp2.engine", "bp2.engine.json"]


def test_no_figure_breaks_the_json(path: Path) -> None:
    """JSON has no infinity: what an engine that answers NaN differs by becomes null."""
    note_proof(path, fake_manifest(PLAN), {"state": "reported only", "figures": {"mean_px": float("inf"), "bad2": 1.0}})
    assert "Infinity" not in manifest_path(path).read_text()
    assert read_manifest(path).proof["figures"] == {"mean_px": None, "bad2": 1.0}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (PLAN[:500], "has 500 bytes, not the 900 that were built: it was cut short or replaced"),
        (PLAN[:-1] + b"!", r"is not the file that was built \(SHA-256\): it is damaged or was replaced"),
    ],
)
def test_a_changed_file_is_not_opened(path: Path, content: bytes, found: str) -> None:
    """Truncated or damaged; with the exact command, quoted for a shell, for the path that was asked for."""
    path.write_bytes(content)
    with pytest.raises(EngineError, match=rf"bp2\.engine {found}; copy it again, or build it again: ") as error:
        open_engine(path)
    assert str(error.value).endswith(f"ffs build-engine '/models/my model.onnx' --precision fp16 -o {path}")


def test_no_manifest(path: Path) -> None:
    """An engine that was copied alone."""
    manifest_path(path).unlink()
    with pytest.raises(EngineError, match=r"has no manifest bp2\.engine\.json beside it.* ffs build-engine MODEL"):
        open_engine(path)


def test_no_engine(tmp_path: Path) -> None:
    """The sentence says how to build one."""
    with pytest.raises(EngineError, match=r"there is no engine file .*none\.engine.*ffs build-engine MODEL\.onnx -o "):
        open_engine(tmp_path / "none.engine")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: text[:50], "it is damaged; build the engine again"),
        (lambda text: "[]", "is not a manifest of this version"),
        (lambda text: text.replace('"format": 1', '"format": 2'), "is not a manifest of this version"),
        (lambda text: text.replace('"io"', '"oi"'), "entries are missing or added"),
        (lambda text: json.dumps({**json.loads(text), "command": []}), "'command' builds nothing"),
    ],
)
def test_a_damaged_manifest(path: Path, change: Any, sentence: str) -> None:
    """Cut, of another kind, of a later version, edited."""
    manifest_path(path).write_text(change(manifest_path(path).read_text()))
    with pytest.raises(EngineError, match=sentence):
        open_engine(path)


PARTS = [
    {"name": "features", "nbytes": 400, "repeat": 1, "carried": {}},
    {"name": "iteration", "nbytes": 500, "repeat": 8, "carried": {"hidden": "next"}},
]


@pytest.mark.parametrize(
    ("entry", "value", "sentence"),
    [
        ("command", "ffs build-engine", "'command' is 'ffs build-engine'"),
        ("command", ["ffs", "build-engine", 1, "-o", "x.engine"], "'command' is"),
        ("engine_bytes", "900", "'engine_bytes' is '900'"),
        ("build_s", "long", "'build_s' is 'long'"),
        ("iterations", True, "'iterations' is True"),
        ("max_disparity", None, "'max_disparity' is None"),
        ("max_disparity", 0, "'max_disparity' is 0"),
        ("proof", {}, "'proof' is {}"),
        ("proof", {"state": "owed"}, "'proof' is {'state': 'owed'}"),
        ("proof", {"state": "fine"}, "'proof' is {'state': 'fine'}"),
        ("proof", {"state": "passed", "figures": 1}, "'proof' is"),
        ("sizes", {"min": [1, 32, 64]}, "'sizes' is"),
        ("sizes", {bound: [32, 64] for bound in ("min", "opt", "max")}, "'sizes' is"),
        ("sizes", {"min": [1, 64, 64], "opt": [1, 32, 64], "max": [1, 64, 64]}, "'sizes' is"),
        ("parts", [1], "'parts' is"),
        ("parts", [{"name": "all"}], "entries of a part are missing or added"),
        ("parts", [PARTS[0], {**PARTS[1], "repeat": 0}], "part iteration has 500 bytes and runs 0 times"),
        ("parts", [PARTS[0], {**PARTS[1], "repeat": -8}], "part iteration has 500 bytes and runs -8 times"),
        ("parts", [PARTS[0], {**PARTS[1], "repeat": "8"}], "part iteration has 500 bytes and runs 8 times"),
        ("parts", [PARTS[0], {**PARTS[1], "repeat": 4}], "no part runs as often as there are iterations, 8"),
        ("parts", [PARTS[0], {**PARTS[1], "carried": {}}], "runs 8 times and carries {}"),
        ("parts", [PARTS[0], {**PARTS[1], "carried": {"hidden": 1}}], "runs 8 times and carries"),
        ("parts", [PARTS[0], {**PARTS[1], "carried": ["hidden"]}], "runs 8 times and carries"),
        (
            "parts",
            [*({**PARTS[1], "nbytes": 300, "repeat": repeat} for repeat in (8, 8, 4))],
            "parts iteration and iteration run in turns, 8 and 4",
        ),
        ("parts", [{**PARTS[0], "nbytes": 0}, {**PARTS[1], "nbytes": 900}], "part features has 0 bytes"),
        ("parts", [PARTS[0], {**PARTS[1], "nbytes": 499}], "the parts do not make up the engine"),
    ],
)
def test_a_manifest_edited_by_hand(path: Path, entry: str, value: Any, sentence: str) -> None:
    """One sentence, and never an engine that runs fewer iterations than it says."""
    content = json.loads(manifest_path(path).read_text())
    assert entry in content
    manifest_path(path).write_text(json.dumps({**content, "parts": PARTS}))
    read_manifest(path)
    manifest_path(path).write_text(json.dumps({**content, entry: value}))
    with pytest.raises(EngineError, match=f"is not what ffs build-engine wrote: .*{re.escape(sentence)}.*build the "):
        open_engine(path)


@pytest.mark.parametrize(("size", "taken"), [((32, 64), True), ((96, 64), False), ((32, 32), False), ((64, 64), True)])
def test_which_sizes_it_takes(size: tuple[int, int], taken: bool) -> None:
    """Between the smallest and the largest, in both axes."""
    sizes = {"min": [1, 32, 64], "opt": [1, 32, 64], "max": [1, 64, 96]}
    assert fake_manifest(PLAN, sizes=sizes).takes(size) is taken


def test_a_full_disk_leaves_what_was_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing half-written, and the engine that was there still opens."""
    write = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        write(self, data[:100])
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FileError, match=r"cannot write .*bp2\.engine: No space left on device"):
        install(path, b"another" * 100, fake_manifest(b"another" * 100))
    monkeypatch.undo()
    assert read_engine(path)[1] == PLAN
    assert sorted(file.name for file in path.parent.iterdir()) == ["bp2.engine", "bp2.engine.json"]


def test_an_interrupt_leaves_what_was_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of writing."""

    def interrupted(self: Path, data: bytes) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        install(path, b"another", fake_manifest(b"another"))
    monkeypatch.undo()
    assert read_engine(path)[1] == PLAN


def test_an_engine_that_is_proven_leaves_no_proof_set_of_the_one_before(path: Path) -> None:
    """The proof set of an engine that owed its proof goes with it."""
    install(path, PLAN, fake_manifest(PLAN, proof={"state": "owed"}), b"a proof set")
    assert owed_proof_path(path).read_bytes() == b"a proof set"
    install(path, PLAN, fake_manifest(PLAN))
    assert not owed_proof_path(path).exists()


INSTALL_OFTEN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from fake_tensorrt import fake_manifest
from ffs_ros.engine.manifest import install
plan = sys.argv[3].encode() * int(sys.argv[4])
for _ in range(60):
    install(Path(sys.argv[1]), plan, fake_manifest(plan))
"""


def test_two_builds_at_once_leave_a_pair_that_belongs_together(path: Path) -> None:
    """Two processes install under one name while a third reads: every reading is whole."""
    writers = [
        subprocess.Popen([sys.executable, "-c", INSTALL_OFTEN, path, Path(__file__).parent.parent, word, str(count)])
        for word, count in (("first", 40_000), ("second", 10_000))
    ]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        seen.add(read_engine(path)[1][:5])
    assert [writer.returncode for writer in writers] == [0, 0]
    assert {b"first", b"secon"} & seen
    assert read_engine(path)[1][:5] in (b"first", b"secon")
    assert sorted(file.name for file in path.parent.iterdir()) == ["bp2.engine", "bp2.engine.json"]
