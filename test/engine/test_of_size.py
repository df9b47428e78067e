"""Which engine of a folder is opened for a size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fake_tensorrt import fake_manifest

from ffs_ros.engine import open_engine
from ffs_ros.engine.manifest import install
from ffs_ros.engine.of_size import engine_of_size
from ffs_ros.errors import EngineError


@pytest.fixture
def folder(tmp_path: Path, tiny_onnx: Callable[..., Path]) -> Path:
    """A folder as it becomes: graphs, engines made of them, a proof set, a damaged file."""

    def graph(name: str, size: tuple[int, int] | None, **notes: str) -> None:
        tiny_onnx(size, **notes).rename(tmp_path / name)

    def built(name: str, least: tuple[int, int], most: tuple[int, int], iterations: int) -> None:
        sizes = {bound: [1, *size] for bound, size in (("min", least), ("opt", most), ("max", most))}
        install(tmp_path / name, b"plan", fake_manifest(b"plan", sizes=sizes, iterations=iterations))

    graph("a320.onnx", (320, 736), height="320", width="736", iterations="8")
    graph("a480.onnx", (480, 736), height="480", width="736", iterations="8")
    graph("any.onnx", None, height="dynamic", width="dynamic", iterations="4")
    graph("unknown.onnx", (64, 64))
    built("a480.engine", (480, 736), (480, 736), 8)
    built("range.engine", (256, 320), (768, 1024), 8)
    (tmp_path / "broken.engine").write_bytes(b"no manifest")
    (tmp_path / "a480.proof.npz").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("size", "name"),
    [
        ((480, 736), "a480.engine"),
        ((320, 736), "range.engine"),
        ((768, 1024), "range.engine"),
        ((1024, 1024), "any.onnx"),
    ],
)
def test_the_best_that_runs_at_the_size(folder: Path, size: tuple[int, int], name: str) -> None:
    """Built ones before graphs, one that has only this size before one that has many."""
    assert engine_of_size(folder, size) == folder / name


def test_graphs_alone(folder: Path) -> None:
    """The graph of this very size goes before that of any."""
    for engine in folder.glob("*.engine*"):
        engine.unlink()
    assert engine_of_size(folder, (320, 736)) == folder / "a320.onnx"
    assert engine_of_size(folder, (64, 64)) == folder / "any.onnx"


def test_open_engine_takes_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its path, or by its name in the folder of engines; a built one that cannot run here says so itself."""
    pytest.importorskip("onnxruntime")
    with open_engine(folder, gpu_index=None, size=(2048, 2048)) as engine:
        assert engine.info.name == "any.onnx"
    monkeypatch.setenv("FFS_ENGINES", str(folder.parent))
    with open_engine(folder.name, gpu_index=None, size=(2048, 2048)) as engine:
        assert engine.info.name == "any.onnx"
    with pytest.raises(EngineError, match=r"a480\.engine"):
        open_engine(folder, gpu_index=None, size=(480, 736))


def test_what_there_is_is_said(folder: Path) -> None:
    """No engine of the size, several alike, or no size: the sentence lists names, sizes and iterations."""
    (folder / "any.onnx").unlink()
    listed = (
        r"a320\.onnx \(320x736, 8 iterations\), a480\.engine \(480x736, 8 iterations\), "
        r"a480\.onnx \(480x736, 8 iterations\), range\.engine \(256x320 to 768x1024, 8 iterations\)"
    )
    with pytest.raises(EngineError, match=rf"has no engine that runs at 800x1280; there are: {listed}"):
        engine_of_size(folder, (800, 1280))
    with pytest.raises(
        EngineError, match=rf"is a folder with 4 engines: {listed}; choose by engine_size:=ROWSxCOLUMNS"
    ):
        engine_of_size(folder, None)
    sizes = {bound: [1, 480, 736] for bound in ("min", "opt", "max")}
    install(folder / "a480_4iters.engine", b"plan", fake_manifest(b"plan", sizes=sizes, iterations=4))
    with pytest.raises(
        EngineError,
        match=r"has 2 engines that run at 480x736: a480\.engine \(480x736, 8 iterations\), a480_4iters\.engine "
        r"\(480x736, 4 iterations\); name one",
    ):
        engine_of_size(folder, (480, 736))


def test_a_folder_of_one_needs_no_size(folder: Path, tmp_path: Path) -> None:
    """And one without engines whose size is known is no engine."""
    kept = tmp_path / "one"
    kept.mkdir()
    with pytest.raises(EngineError, match="one is a folder without engines whose size is known"):
        engine_of_size(kept, None)
    (folder / "a320.onnx").rename(kept / "a320.onnx")
    assert engine_of_size(kept, None) == kept / "a320.onnx"
