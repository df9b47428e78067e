"""``ffs infer --list`` from the command line to its files: what is in them, and that a killed run goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from command_line import ffs, killed_when, tree
from http_store import http_store
from shifted_pairs import shifted_pairs

from ffs_ros.image_file import read_rgb, write_png
from ffs_ros.pfm import read_pfm, write_pfm


def red_pair(folder: Path, name: str, red: int, suffix: str = ".png", size: tuple[int, int] = (32, 64)) -> str:
    """A pair to which ``tiny_onnx`` answers red / 4 everywhere; its line of a list."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    image = np.zeros((*size, 3), np.uint8)
    image[..., 2] = red
    for side in ("left", "right"):
        cv2.imwrite(str(folder / name / f"{side}{suffix}"), image)
    return f"{folder / name}/left{suffix} {folder / name}/right{suffix}"


def listed(folder: Path, *lines: str) -> Path:
    (folder / "list.txt").write_text("\n".join(lines) + "\n")
    return folder / "list.txt"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for pairs, in a working folder of its own, so that names are short."""
    monkeypatch.chdir(tmp_path)
    return Path("data")


def test_every_output_of_every_pair(data: Path, tiny_onnx: Callable[..., Path], capsys: Any) -> None:
    """d = red / 4; with f = 100 px and 0.1 m depth is 10 / d metres; nothing else is written."""
    lines = [red_pair(data, "a", 80), red_pair(data, "b/c", 40)]
    Path("K.txt").write_text("100.0 0 32 0 100.0 16 0 0 1\n0.1\n")
    outputs = ("--outputs", "pfm,png,npy,depth,ply", "--camera", "K.txt")
    assert ffs("infer", tiny_onnx(), "--list", listed(Path(), *lines), "-o", "out", *outputs) == 0
    for name, disparity_px in (("a", 20.0), ("b/c", 10.0)):
        stem = f"out/data/{name}/left"
        np.testing.assert_array_equal(read_pfm(f"{stem}.pfm"), np.full((32, 64), disparity_px, np.float32))
        np.testing.assert_array_equal(np.load(f"{stem}.npy"), np.full((32, 64), disparity_px, np.float32))
        depth_HW = cv2.imread(f"{stem}_depth.png", cv2.IMREAD_UNCHANGED)
        assert depth_HW.dtype == np.uint16
        assert (depth_HW == round(10_000 / disparity_px)).all()
        assert b"element vertex 2048\n" in Path(f"{stem}.ply").read_bytes()[:200]
        assert read_rgb(f"{stem}.png").shape == (32, 64, 3)
    names = {
        f"data/{name}/left{suffix}"
        for name in ("a", "b/c")
        for suffix in (".pfm", ".png", ".npy", "_depth.png", ".ply")
    }
    assert set(tree(Path("out"))) == {"inference.json", *names}
    assert "2 of 2 pairs made, 0 kept" in capsys.readouterr().out
    status = [json.loads(line) for line in Path("out/status.json").read_text().splitlines()]
    assert [entry["status"] for entry in status] == ["STARTED", "SUCCESS"]


def test_tao_names_and_pictures(data: Path, tiny_onnx: Callable[..., Path]) -> None:
    """Middlebury's scene as its PyTorch container has it, the strip with truth; folder_file of its TensorRT one."""
    line = red_pair(data, "Adirondack", 80, ".jpg")
    truth_HW = np.full((32, 64), 40.0, np.float32)
    truth_HW[:, :32] = np.nan
    write_pfm(data / "truth.pfm", truth_HW)
    run = ("infer", tiny_onnx(), "--list", listed(Path(), f"{line} data/truth.pfm"), "--outputs", "pfm,png")
    assert ffs(*run, "-o", "tao", "--names", "tao", "--dataset", "middlebury") == 0
    assert set(tree(Path("tao"))) == {"inference.json", "Adirondack.jpg", "Adirondack.pfm"}
    strip_HW3 = read_rgb("tao/Adirondack.jpg").astype(int)
    assert strip_HW3.shape == (32, 4 * 64, 3)
    left, truth, found, difference = (strip_HW3[16, 64 * panel + 48] for panel in range(4))
    np.testing.assert_allclose(left, [80, 0, 0], atol=12)
    assert max(np.abs(truth - found).max(), np.abs(truth - difference).max()) < 12, "each at its own maximum"
    np.testing.assert_allclose(strip_HW3[16, 64 + 16], 0, atol=12)
    assert ffs(*run, "-o", "deploy", "--names", "tao-deploy") == 0
    assert set(tree(Path("deploy"))) == {
        "inference.json", "predicted_depth/Adirondack_left.jpg", "predicted_depth/Adirondack_left.pfm"
    }  # fmt: skip
    np.testing.assert_allclose(read_pfm("deploy/predicted_depth/Adirondack_left.pfm"), 20.0, atol=1.0)


def test_ways_to_work_give_the_same_files(tmp_path: Path) -> None:
    """One process or several, byte for byte."""
    pairs = shifted_pairs(tmp_path / "data", 7)
    for workers in (1, 3):
        out = tmp_path / f"out{workers}"
        assert ffs("infer", "sgbm", "--list", pairs, "-o", out, "--outputs", "pfm,png", "--workers", workers) == 0
    assert tree(tmp_path / "out1") == tree(tmp_path / "out3")
    found = read_pfm(next((tmp_path / "out1").rglob("p003/left.pfm")))
    assert np.nanmedian(found) == 11.0


def test_finished_files_are_kept_and_others_made(data: Path, tiny_onnx: Callable[..., Path], capsys: Any) -> None:
    """A list may grow, outputs be added; what is missing in part is made anew."""
    lines = [red_pair(data, name, 80) for name in "abc"]
    run = ("infer", tiny_onnx(), "-o", "out", "--list")
    assert ffs(*run, listed(Path(), *lines[:2])) == 0
    before_ns = {name: Path(f"out/data/{name}/left.pfm").stat().st_mtime_ns for name in "ab"}
    Path("out/data/a/left.pfm").unlink()
    Path("out/data/.0123456789abcdef.pfm").write_bytes(b"half")
    assert ffs(*run, listed(Path(), *lines)) == 0
    assert "2 of 3 pairs made, 1 kept" in capsys.readouterr().out
    after_ns = {name: Path(f"out/data/{name}/left.pfm").stat().st_mtime_ns for name in "ab"}
    assert (after_ns["a"] > before_ns["a"], after_ns["b"] == before_ns["b"]) == (True, True)
    assert not list(Path("out").rglob(".*"))
    assert ffs(*run, "list.txt", "--outputs", "pfm,npy") == 0
    assert "3 of 3 pairs made, 0 kept" in capsys.readouterr().out


@pytest.mark.parametrize(
    "option",
    ["--outputs png", "--names tao", "--camera-beside K.txt", "--dataset Kitti", "--workers 1", "--ray local"],
)
def test_what_only_lists_have_is_refused_without_one(option: str, data: Path, capsys: Any) -> None:
    """It would have no effect on a pair."""
    red_pair(data, "a", 80)
    assert ffs("infer", "sgbm", data / "a/left.png", data / "a/right.png", "-o", "out", *option.split()) == 2
    name = option.split()[0]
    assert f"{name} is for the pairs of a list: expected --list FILE with it" in capsys.readouterr().err
    assert not Path("out").exists()


def test_what_made_the_files_is_noticed(data: Path, tiny_onnx: Callable[..., Path], capsys: Any) -> None:
    """Another engine of the same name, another option, or no word of what it was: a sentence, and nothing changes."""
    pairs = listed(Path(), red_pair(data, "a", 80))
    engine = tiny_onnx((32, 64))
    run = ("infer", engine, "--list", pairs, "-o", "out")
    assert ffs(*run) == 0
    made = tree(Path("out"))
    for more, sentence in (
        (("--fit", "resize"), "fit was auto and is resize. Give the same as then to continue"),
        (("--mask-out-of-view",), "mask_out_of_view was false and is true"),
        (("--names", "tao"), "names was path and is tao"),
    ):
        assert ffs(*run, *more) == 2
        assert sentence in capsys.readouterr().err
    engine.write_bytes(tiny_onnx((64, 64)).read_bytes())
    assert ffs(*run) == 2
    assert "the files in out were made otherwise: sha256 was " in capsys.readouterr().err
    assert tree(Path("out")) == made
    assert ffs("infer", engine, "--list", pairs, "-o", "data") == 2
    assert "data holds files, and no inference.json that says what made them" in capsys.readouterr().err


def test_all_that_is_wrong_is_said_before_anything_is_done(
    data: Path, tiny_onnx: Callable[..., Path], capsys: Any
) -> None:
    """Of all lists together; nothing is made."""
    a, b = red_pair(data, "a", 80), red_pair(data, "b", 80)
    write_png(data / "small.png", np.zeros((8, 8, 3), np.uint8))
    (data / "cut.png").write_bytes(Path(a.split()[0]).read_bytes()[:20])
    Path("calib.txt").write_text(
        "cam0=[1 0 4; 0 1 3; 0 0 1]\ncam1=[1 0 4; 0 1 3; 0 0 1]\nbaseline=100\nwidth=8\nheight=6\n"
    )
    bad = [a, a, "data/none.png data/small.png", f"{b.split()[0]} data/small.png", "data/cut.png data/a/right.png"]
    red_pair(data, "b", 80, ".jpg")
    bad.append(b.replace(".png", ".jpg"))
    listed(Path(), *bad)
    run = ("infer", tiny_onnx(), "-o", "out", "--list")
    assert ffs(*run, "list.txt") == 2
    said = capsys.readouterr().err
    for sentence in (
        "data/a/left.png is listed as left image more than once",
        "the results of data/b/left.png and data/b/left.jpg would both be called data/b/left: rename one",
        "data/none.png: No such file or directory",
        "data/small.png is 8x8 and data/b/left.png is 64x32",
        "data/cut.png is cut short",
    ):
        assert sentence in said
    assert said.count("\n") == said.count("ffs: ") == 5
    for arguments, sentence in (
        ((listed(Path(), a), "--outputs", "ply"), "--outputs ply needs a calibration"),
        (("list.txt", "--outputs", "ply", "--camera", "none.txt"), "none.txt: No such file or directory"),
        (("list.txt", "--outputs", "ply", "--camera", "calib.txt"), "calib.txt is for 8x6 images and data/a/left.png"),
        (("list.txt", "--outputs", "ply", "--camera-beside", "c.txt"), "data/a/c.txt: No such file or directory"),
        (("list.txt", "--outputs", "ply", "--camera", "/dev/null"), "/dev/null is a pipe or a device"),
        (("list.txt", "--camera", "none.txt"), "a calibration is given that no file needs: expected --outputs depth"),
        (("list.txt", "--outputs", "gif"), "'gif': expected some of pfm, png, npy, depth, ply"),
        (("list.txt", "--dataset", "Sintel"), "dataset_name 'Sintel' does not exist"),
        (("none.txt",), "cannot read none.txt: No such file or directory"),
        (("list.txt", a.split()[0]), "expected ffs infer [ENGINE] --list FILE -o OUT"),
    ):
        assert ffs(*run, *arguments) == 2, sentence
        assert sentence in capsys.readouterr().err
    assert not Path("out").exists()
    Path("empty.txt").write_text("# nothing\n")
    assert ffs(*run, "empty.txt") == 2
    assert "empty.txt lists no pair" in capsys.readouterr().err
    assert ffs("infer", tiny_onnx(), "--list", "list.txt", "-o", "list.txt/out") == 2
    assert "cannot make the folder list.txt/out" in capsys.readouterr().err


def test_a_pair_that_fails_does_not_stop_the_others(data: Path, tiny_onnx: Callable[..., Path], capsys: Any) -> None:
    """It is said at the end, with exit code 2; once it is put right, the next run makes it alone."""
    lines = [red_pair(data, name, 80) for name in "abc"]
    whole = (data / "b/left.png").read_bytes()
    (data / "b/left.png").write_bytes(whole[:60] + b"\0\0\0\0" + whole[64:])
    run = ("infer", tiny_onnx(), "-o", "out", "--list", listed(Path(), *lines))
    assert ffs(*run) == 2
    said = capsys.readouterr()
    assert "2 of 3 pairs made, 0 kept" in said.out
    assert "data/b/left.png" in said.err
    assert len(said.err.splitlines()) == 1
    assert json.loads(Path("out/status.json").read_text().splitlines()[-1])["status"] == "FAILURE"
    (data / "b/left.png").write_bytes(whole)
    assert ffs(*run) == 0
    assert "1 of 3 pairs made, 2 kept" in capsys.readouterr().out


def test_everything_in_stores(data: Path, memory: str, tiny_onnx: Callable[..., Path], capsys: Any) -> None:
    """The list and half of the images in fsspec's memory, the other half on an HTTP server, results in either."""
    red_pair(data, "a", 80)
    red_pair(data, "b", 40)
    Path("K.txt").write_text("100.0 0 32 0 100.0 16 0 0 1\n0.1\n")
    with http_store() as (url, files):
        system = pytest.importorskip("fsspec").filesystem("memory")
        system.put("data", "/bucket/data", recursive=True)
        system.pipe_file("/bucket/data/b/K.txt", Path("K.txt").read_bytes())
        for name in ("left.png", "right.png", "K.txt"):
            files[f"/a/{name}"] = (data / "a" / name if name != "K.txt" else Path(name)).read_bytes()
        text = f"{url}/a/left.png?signed=1 {url}/a/right.png\ndata/b/left.png data/b/right.png\n"
        files["/a/left.png?signed=1"] = files["/a/left.png"]
        system.pipe_file("/bucket/list.txt", text.encode())
        run = (
            "infer",
            tiny_onnx(),
            "--list",
            f"{memory}/list.txt",
            "--outputs",
            "pfm,depth",
            "--camera-beside",
            "K.txt",
        )
        for out in (f"{memory}/out", f"{url}/out", "out"):
            assert ffs(*run, "-o", out) == 0, capsys.readouterr().err
            assert "2 of 2 pairs made" in capsys.readouterr().out
            assert ffs(*run, "-o", out) == 0
            assert "0 of 2 pairs made, 2 kept" in capsys.readouterr().out
        made = tree(Path("out"))
        host = url.removeprefix("http://")
        assert set(made) == {"inference.json", *(
            f"{stem}/left{suffix}" for stem in (f"{host}/a", "bucket/data/b") for suffix in (".pfm", "_depth.png")
        )}  # fmt: skip
        assert {name: system.cat_file(f"/bucket/out/{name}") for name in made} == made
        assert {name: files[f"/out/{name}"] for name in made} == made
        assert ffs(*run, "-o", f"{memory}/out", "--fit", "resize") == 2
        assert "fit was auto and is resize" in capsys.readouterr().err
        assert ffs("infer", tiny_onnx(), data / "a/left.png", data / "a/right.png", "-o", memory) == 2
        assert "expected a folder on this machine" in capsys.readouterr().err


def test_killed_in_the_middle_it_goes_on(tmp_path: Path) -> None:
    """kill -9 while files are written, again: the files of a run that was not killed, byte for byte; those that were
    there are not written a second time, and no half ones stay."""
    pairs = shifted_pairs(tmp_path / "data", 40, (120, 320))
    run = ["infer", "sgbm", "--list", pairs, "--outputs", "pfm,png", "--workers"]
    out = tmp_path / "out"
    killed_when("left.png", out, *run, 2)
    time.sleep(0.3)  # its workers end by themselves, perhaps with a file more
    before_ns = {path: path.stat().st_mtime_ns for path in out.rglob("*/left.png")}
    assert 0 < len(before_ns) < 40
    for folder in (out, tmp_path / "whole"):
        assert ffs(*run, "1", "-o", folder) == 0
    assert tree(out) == tree(tmp_path / "whole")
    assert len(tree(out)) == 2 * 40 + 1
    assert all(path.stat().st_mtime_ns == before_ns[path] for path in before_ns)
