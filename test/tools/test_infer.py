"""``ffs infer``, from the command line to every file that it writes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from ffs_ros import cli
from ffs_ros.config import DEFAULT_ENGINE
from ffs_ros.engine import Engine, open_engine
from ffs_ros.engine.sgbm import SgbmEngine
from ffs_ros.image_file import read_rgb, write_png
from ffs_ros.pfm import read_pfm
from ffs_ros.tools import engine_choice
from ffs_ros.weights import SYNTHETIC, SYNTHETIC_NOTE

K_TXT = "100.0 0 40 0 100.0 30 0 0 1\n0.1\n"


def ffs(*arguments: object) -> int:
    """The exit code of ``ffs ARGUMENTS``."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    return ended.value.code


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """A folder with left.png and right.png, 61x83, and K.txt: f = 100 px, baseline 0.1 m."""
    for seed, side in enumerate(("left", "right")):
        image = np.random.default_rng(seed).integers(8, 256, (61, 83, 3), dtype=np.uint8)
        image[0, :4] = 0
        write_png(tmp_path / f"{side}.png", image)
    (tmp_path / "K.txt").write_text(K_TXT)
    return tmp_path


def test_the_size_of_an_engine_is_chosen(
    pair: Path, tiny_onnx: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """An open graph runs at --engine-size, at half the images' width the disparity is double; others name theirs."""
    images = pair / "left.png", pair / "right.png"
    assert ffs("infer", tiny_onnx(), *images, "-o", pair / "out", "--fit", "resize", "--engine-size", "32x64") == 0
    found = read_pfm(pair / "out" / "disparity.pfm")
    expected = cv2.resize(read_rgb(images[0])[..., 0], (64, 32), interpolation=cv2.INTER_AREA) / 4.0
    np.testing.assert_allclose(np.median(found), np.median(expected) * 83 / 64, rtol=0.05)
    assert ffs("infer", tiny_onnx((64, 96)), *images, "-o", pair / "out", "--engine-size", "32x64") == 2
    assert "engine_size is 32x64 and 'tiny.onnx' takes 64x96" in capsys.readouterr().err


def test_network_writes_every_file(
    pair: Path, tiny_onnx: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The answer of a known graph in all six files: d = red / 4, Z = f B / d, none where d = 0."""
    out = pair / "new" / "out"
    images = pair / "left.png", pair / "right.png"
    assert ffs("infer", tiny_onnx(), *images, "-o", out, "--camera", pair / "K.txt", "--threads", 1) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "cloud.ply", "cloud.png", "depth.npy", "depth.png", "disparity.pfm", "disparity.png",
    ]  # fmt: skip
    expected = read_rgb(images[0])[..., 0] / np.float32(4.0)
    np.testing.assert_array_equal(read_pfm(out / "disparity.pfm"), expected)
    with np.errstate(divide="ignore"):
        expected_depth = np.where(expected > 0, 10.0 / expected, np.nan)
    depth = np.load(out / "depth.npy")
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, expected_depth, rtol=1e-6)
    assert np.isnan(depth).sum() == 4
    millimetres = cv2.imread(str(out / "depth.png"), cv2.IMREAD_UNCHANGED)
    assert millimetres.dtype == np.uint16
    np.testing.assert_array_equal(millimetres, np.rint(1e3 * np.nan_to_num(depth)))
    assert read_rgb(out / "disparity.png").shape == (61, 83, 3)
    view_hw3 = read_rgb(out / "cloud.png")
    assert view_hw3.shape == (61, 83, 3)
    assert len(np.unique(view_hw3.reshape(-1, 3), axis=0)) > 100, "the left image's colours"
    assert b"element vertex 5059\n" in (out / "cloud.ply").read_bytes()
    said = capsys.readouterr().out
    assert "tiny.onnx, ONNX Runtime" in said
    assert re.search(r"83x61 in \d+ ms \(first run\)\n", said)
    assert "disparity.pfm: 100.0% of the pixels have an answer, 0.00 to 63.75 px" in said
    assert "depth.npy: 99.9% of the pixels have a depth, 0.16 to " in said
    assert "letterboxed" not in said
    assert "hint" not in said
    assert "cloud.ply: 5059 points" in said


@pytest.mark.parametrize("order", ["l r -o out", "-o out l r", "l -o out r", "-o out engine l r", "engine -o out l r"])
def test_two_names_are_the_images(
    order: str, pair: Path, tiny_onnx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without ENGINE the default engine runs, of three names the first is the engine, wherever the options stand."""
    opened = []

    def recorded(engine: str, **options: int) -> Engine:
        opened.append(engine)
        return open_engine(tiny_onnx(), threads=1)

    monkeypatch.setattr(engine_choice, "open_engine", recorded)
    names = {"l": pair / "left.png", "r": pair / "right.png", "out": pair / "out", "engine": "mine.onnx"}
    assert ffs("infer", *(names.get(word, word) for word in order.split())) == 0
    assert opened == ["mine.onnx" if "engine" in order else DEFAULT_ENGINE]
    expected = read_rgb(pair / "left.png")[..., 0] / np.float32(4.0)
    np.testing.assert_array_equal(read_pfm(pair / "out" / "disparity.pfm"), expected)


def test_weights_that_ship_are_said(
    pair: Path, tiny_onnx: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence says that production wants other weights; the user's own need none."""
    images = pair / "left.png", pair / "right.png"
    assert ffs("infer", tiny_onnx(weights=SYNTHETIC), *images, "-o", pair / "out", "--threads", 1) == 0
    assert capsys.readouterr().out.count(f"\n{SYNTHETIC_NOTE}\n") == 1
    assert ffs("infer", tiny_onnx(), *images, "-o", pair / "out", "--threads", 1) == 0
    assert "synthetic" not in capsys.readouterr().out


def test_without_calibration_there_is_no_depth(pair: Path, tiny_onnx: Callable[..., Path]) -> None:
    """Disparity alone needs no camera."""
    assert ffs("infer", tiny_onnx(), pair / "left.png", pair / "right.png", "-o", pair / "out", "--threads", 1) == 0
    assert sorted(path.name for path in (pair / "out").iterdir()) == ["disparity.pfm", "disparity.png"]


def test_options_reach_the_matcher(pair: Path, tiny_onnx: Callable[..., Path]) -> None:
    """--mask-out-of-view and --fit change the answer as they should."""
    images = pair / "left.png", pair / "right.png"
    engine = tiny_onnx(size=(122, 83))
    assert ffs("infer", engine, *images, "-o", pair / "m", "--mask-out-of-view", "--fit", "resize") == 0
    masked = read_pfm(pair / "m" / "disparity.pfm")
    assert ffs("infer", engine, *images, "-o", pair / "p", "--fit", "pad") == 0
    plain = read_pfm(pair / "p" / "disparity.pfm")
    expected = read_rgb(images[0])[..., 0] / np.float32(4.0)
    np.testing.assert_array_equal(plain, expected)
    columns = np.arange(83)
    assert np.isnan(masked[masked.shape[0] // 2]).any()
    assert not (masked > columns).any()
    assert not np.array_equal(masked[:, 64:], plain[:, 64:])


@pytest.mark.parametrize(
    ("size", "fit", "note"),
    [
        ((32, 64), "auto", "letterboxed to 44x32 inside the engine's 64x32; for full detail export an engine with "
         "--size 64x96 (rows x columns)\n"),
        ((32, 64), "resize", "resized to the engine's 64x32; for full detail export an engine with --size 64x96"),
        ((122, 192), "auto", "letterboxed to 166x122 inside the engine's 192x122\n"),
    ],
)  # fmt: skip
def test_another_scale_is_said(
    size: tuple[int, int], fit: str, note: str, pair: Path, tiny_onnx: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Images that the engine did not see pixel by pixel, and the engine that would; none is needed when they grow."""
    images = pair / "left.png", pair / "right.png"
    assert ffs("infer", tiny_onnx(size=size), *images, "-o", pair / "out", "--fit", fit, "--threads", 1) == 0
    assert note in capsys.readouterr().out


def test_few_answers_come_with_a_hint(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two images of noise have nothing in common, which is not left to the reader to notice."""
    assert ffs("infer", "sgbm", pair / "left.png", pair / "right.png", "-o", pair / "out", "--max-disparity", 16) == 0
    last_line = capsys.readouterr().out.splitlines()[-1]
    assert re.match(r"hint: only \d+\.\d% of the pixels have an answer: left and right may be swapped", last_line)


def test_sgbm_on_a_verged_pair(shared: Path, tmp_path: Path) -> None:
    """Adirondack: disparity.pfm carries the plain d with +inf for none, and the depth is f B / (d + doffs)."""
    folder = shared / "data" / "stereo" / "mb2014_adirondack_q"
    images = folder / "left.png", folder / "right.png"
    camera = "--camera", folder / "calib.txt"
    assert ffs("infer", "sgbm", *images, "-o", tmp_path, *camera, "--max-disparity", 80) == 0
    left, right = map(read_rgb, images)
    plain = SgbmEngine(80).infer({"left": left[None], "right": right[None]})["disparity"][0, 0]
    stored = cv2.imread(str(tmp_path / "disparity.pfm"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored, np.where(np.isnan(plain), np.inf, plain))
    depth = np.load(tmp_path / "depth.npy")
    np.testing.assert_allclose(depth, 1040.30525 * 0.176252 / (plain + 52.26475), rtol=1e-6)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that ``ffs infer ARGUMENTS`` ends with, at exit code 2."""
    assert ffs("infer", *arguments) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_bad_input_is_one_line_and_no_output(
    pair: Path, tiny_onnx: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing, unequal, damaged: one sentence, exit code 2, and the folder is not even made."""
    left, right, out = pair / "left.png", pair / "right.png", pair / "out"
    write_png(pair / "small.png", np.zeros((40, 83, 3), np.uint8))
    (pair / "cut.png").write_bytes(left.read_bytes()[:500])
    (pair / "bad.txt").write_text("nothing\n")
    (pair / "calib.txt").write_text(
        "cam0=[100 0 40; 0 100 30; 0 0 1]\ncam1=[100 0 40; 0 100 30; 0 0 1]\nbaseline=100\nwidth=80\nheight=60\n"
    )
    for arguments, sentence in (
        (("sgbm", pair / "none.png", right), "none.png: No such file or directory; check the name"),
        (("sgbm", left, pair / "small.png"), "left.png is 83x61 but"),
        (("sgbm", left, pair / "cut.png"), "cut.png is cut short"),
        (("none.onnx", left, pair / "small.png"), "expected the two rectified images of one pair"),
        (("none.onnx", left, right), "there is no engine file none.onnx"),
        (("sgmb", left, right), "'sgmb' is no engine"),
        (("model.pth", left, right), "model.pth: there is no such file"),
        ((left,), "expected ffs infer [ENGINE] LEFT RIGHT, or [ENGINE] --list FILE -o OUT"),
        (("sgbm", left, right, "more"), "expected ffs infer [ENGINE] LEFT RIGHT, or [ENGINE] --list FILE -o OUT"),
        (("sgbm", left, right, "--max-disparity", 15), "--max-disparity is 15: expected 16 to 4096 pixels"),
        (("sgbm", left, right, "--camera", pair / "bad.txt"), "bad.txt is no calibration"),
        (("sgbm", left, right, "--camera", pair / "calib.txt"), "give --camera a file for 83x61"),
        ((tiny_onnx(output="disp"), left, right), "gives 'disp' float32"),
    ):
        assert sentence in refused(capsys, *arguments, "-o", out), arguments
        assert not out.exists(), arguments


def test_output_that_is_a_file(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """OUT is a folder."""
    said = refused(capsys, "sgbm", pair / "left.png", pair / "right.png", "-o", pair / "K.txt")
    assert "cannot make the folder" in said
    assert (pair / "K.txt").read_text() == K_TXT
