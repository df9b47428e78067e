"""Advice that can be followed: names, sizes and limits are those of the things it speaks of."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from ffs_ros import advice

SETUP = (Path(__file__).resolve().parent.parent / "setup.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("extra", "command"),
    [
        ("export", advice.EXPORT_PACKAGES),
        ("ros", advice.ROS_PACKAGES),
        ("train", advice.TRAIN_PACKAGES),
        ("tensorrt", advice.TENSORRT_PACKAGES),
        ("rtx", advice.RTX_PACKAGES),
    ],
)
def test_packages_are_those_of_the_extra(extra: str, command: str) -> None:
    """The package is not on an index, so the commands name what its extras name."""
    assignments = [node for node in ast.parse(SETUP).body if isinstance(node, ast.Assign)]
    extras = next(ast.literal_eval(node.value) for node in assignments if ast.unparse(node.targets[0]) == "EXTRAS")
    names = [requirement.partition(">=")[0] for requirement in extras[extra]]
    assert command.partition(" (")[0].replace("'", "").split() == ["pip", "install", *names]


def test_no_message_asks_for_the_package_itself() -> None:
    """``pip install 'ffs_ros[...]'`` would fail, or bring something else of that name."""
    source = Path(advice.__file__).parent
    assert [path for path in source.rglob("*.py") if re.search(r"ffs_ros\[", path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("camera_size", "size"),
    [
        ((497, 720), "--size 512x736"),
        ((512, 736), "--size 512x736"),
        ((1, 33), "--size 32x64"),
        ((2048, 2017), "--size 2048x2048"),
        ((2049, 64), None),
    ],
)
def test_the_size_holds_the_image_and_no_more(camera_size: tuple[int, int], size: str | None) -> None:
    """The smallest multiples of 32; nothing where no graph is that large."""
    assert advice.export_size(camera_size) == size


def test_the_exporter_takes_every_size_that_is_advised() -> None:
    """Its multiple and its largest side are the ones that the advice counts with."""
    pytest.importorskip("onnx")
    from ffs_ros.graph.form import SIZE_MULTIPLE, LARGEST_SIDE_px

    assert advice.export_size((LARGEST_SIDE_px, 1)) == f"--size {LARGEST_SIDE_px}x{SIZE_MULTIPLE}"
    assert advice.export_size((LARGEST_SIDE_px + 1, 1)) is None


def test_only_few_answers_are_worth_a_hint() -> None:
    """30 % is enough, less is called what it may be."""
    assert advice.few_answers(0.3) is None
    assert "only 29.9% of the pixels have an answer" in str(advice.few_answers(0.299))


def test_a_file_that_cannot_be_read_has_a_remedy() -> None:
    """A missing file is a matter of its name, a closed one of its permissions."""
    path = Path("x.png")
    assert advice.cannot_read(path, FileNotFoundError(2, "No such file")).endswith("No such file; check the name")
    assert advice.cannot_read(path, PermissionError(13, "Denied")).endswith("Denied; check its permissions")
