"""What the tests of hostile and unfit checkpoints share: a folder that shows whether anything ran, and the refusal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkpoint_files import Refusal

from ffs_ros.checkpoint import open_checkpoint
from ffs_ros.cli import main as ffs
from ffs_ros.errors import CheckpointError


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in that shows whether anything ran: a file ``ran``, or the import of a module lying there."""
    monkeypatch.chdir(tmp_path)
    for name in ("ran_by_import", "setstate_module"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')\nclass Thing:\n    __setstate__ = print\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("ran_by_import", "setstate_module"):
        sys.modules.pop(name, None)


@pytest.fixture
def assert_refused(capsys: pytest.CaptureFixture[str]) -> Refusal:
    """Opening it raises the sentence, the command line says it in one line, ends with 2 and does nothing else."""

    def check(path: Path, sentence: str) -> None:
        before = sorted(path.parent.iterdir())
        modules = set(sys.modules)
        with pytest.raises(CheckpointError, match=sentence):
            open_checkpoint(path)
        with pytest.raises(SystemExit) as end:
            ffs(["inspect", str(path)])
        out, err = capsys.readouterr()
        assert (end.value.code, out) == (2, "")
        assert err.count("\n") == 1
        assert err.rstrip("\n").isprintable()
        assert sorted(path.parent.iterdir()) == before
        assert not {"ran_by_import", "setstate_module", "pty", "timm", "core"} & (set(sys.modules) - modules)

    return check
