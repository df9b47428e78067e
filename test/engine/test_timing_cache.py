"""Measurements of kernels in one file that builds share, also builds at the same time."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from fake_tensorrt import FakeTensorRt

from ffs_ros.engine.timing_cache import cache_path, keep_cache, keeping, use_cache
from ffs_ros.engine.trt_versions import TENSORRT, TensorRt


@pytest.fixture
def config(tmp_path: Path):
    """A builder's configuration of the fake, made anew by each call."""
    module = FakeTensorRt()
    return lambda: module.Builder(None).create_builder_config()


def test_one_file_for_each_version_and_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Beside the engines; names are safe for a file system."""
    monkeypatch.setenv("FFS_ENGINES", str(tmp_path))
    path = cache_path(TensorRt(TENSORRT, FakeTensorRt("8.6.1")), "NVIDIA H200/141GB")
    assert path == tmp_path / "timing" / "tensorrt_8.6.1_NVIDIA_H200_141GB.cache"


def test_builds_at_the_same_time_keep_what_both_measured(config, tmp_path: Path) -> None:
    """The second to end adds to what the first left meanwhile."""
    path = tmp_path / "timing" / "gpu.cache"
    first, second = config(), config()
    for one, kernel in ((first, b"conv"), (second, b"matmul")):
        use_cache(one, path).lines.add(kernel)
    keep_cache(first, path)
    keep_cache(second, path)
    assert use_cache(config(), path).lines == {b"conv", b"matmul"}
    assert [file.name for file in path.parent.iterdir()] == ["gpu.cache"]


def test_a_cache_of_another_driver_is_begun_anew(config, tmp_path: Path) -> None:
    """TensorRT refuses it; the build goes on without."""
    path = tmp_path / "gpu.cache"
    path.write_bytes(b"other driver".replace(b" ", b"_"))
    one = config()
    one.set_timing_cache = lambda cache, ignore: not cache.lines and setattr(one, "cache", cache) is None
    assert use_cache(one, path).lines == set()


def test_a_cache_that_the_runtime_cannot_read_is_begun_anew(config, tmp_path: Path) -> None:
    """It answers None, which it takes from nobody; what this build measured replaces the file."""
    path = tmp_path / "gpu.cache"
    path.write_bytes(b"damaged")
    one = config()
    create = one.create_timing_cache
    one.create_timing_cache = lambda content: None if b"damaged" in content else create(content)
    use_cache(one, path).lines.add(b"conv")
    keep_cache(one, path)
    assert path.read_bytes() == b"conv"


def test_a_full_disk_leaves_the_cache_as_it_was(
    config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With a warning; the build goes on."""
    path = tmp_path / "gpu.cache"
    path.write_bytes(b"conv")
    one = config()
    use_cache(one, path).lines.add(b"matmul")

    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    keep_cache(one, path)
    assert "No space left on device" in caplog.text
    assert path.read_bytes() == b"conv"
    assert [file.name for file in tmp_path.iterdir()] == ["gpu.cache"]


def test_whoever_ends_this_process_can_wait_for_the_file(
    config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is held while it is written, and only then."""
    held = []
    write = Path.write_bytes

    def noted(self: Path, data: bytes) -> int:
        held.append(keeping.locked())
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", noted)
    keep_cache(config(), tmp_path / "gpu.cache")
    assert held == [True]
    assert not keeping.locked()
