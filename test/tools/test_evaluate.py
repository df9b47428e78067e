"""``ffs eval`` from the command line to its files, on engines whose answers are known."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from command_line import ffs, held, killed_when, tree
from shifted_pairs import shifted_pairs

from ffs_ros.image_file import write_png
from ffs_ros.pfm import write_pfm
from ffs_ros.status_file import read_kpi

NAN = np.nan


def written(folder: Path, name: str, answer: float, truth: float | np.ndarray, size: tuple[int, int] = (32, 64)) -> str:
    """A pair to which ``tiny_onnx`` answers ``answer`` everywhere; its line of a list."""
    (folder / name).mkdir()
    left = np.zeros((*size, 3), np.uint8)
    left[..., 0] = round(4 * answer)
    paths = [folder / name / file for file in ("left.png", "right.png", "truth.pfm")]
    write_png(paths[0], left)
    write_png(paths[1], left + 1)
    write_pfm(paths[2], np.full(size, truth, np.float32))
    return " ".join(map(str, paths))


def listed(folder: Path, *lines: str) -> Path:
    (folder / "list.txt").write_text("\n".join(lines) + "\n")
    return folder / "list.txt"


def results(out: Path) -> dict[str, Any]:
    return json.loads((out / "results.json").read_text())


def test_figures_of_two_pairs(tmp_path: Path, tiny_onnx: Callable[..., Path], capsys: Any) -> None:
    """Errors of 0.5 and 4 px, the second on a quarter of the first's pixels: means of images, and of pixels."""
    lines = [
        written(tmp_path, "a", 20.0, 20.5),
        written(tmp_path, "b", 30.0, np.repeat([34.0, NAN], [8, 24])[:, None]),
        written(tmp_path, "c", 30.0, NAN),
    ]
    out = tmp_path / "out"
    assert ffs("eval", tiny_onnx(), "--list", listed(tmp_path, *lines), "-o", out) == 0
    found = results(out)
    assert [found[name] for name in ("epe", "bp1", "bp3", "d1", "rmse")] == [2.25, 0.5, 0.5, 0.5, 2.25]
    assert [found[name] for name in ("pairs", "evaluated", "skipped", "failed")] == [3, 2, 1, 0]
    assert found["pooled"]["all"]["epe"] == (0.5 * 2048 + 4 * 512) / 2560
    assert found["pooled"]["all"]["bp2"] == 0.2
    rows = json.loads((out / "per_sample_results.json").read_text())
    assert [(row["scene"], row["epe"], row["orig_hw"], row["engine_hw"]) for row in rows] == [
        ("a", 0.5, [32, 64], [32, 64]), ("b", 4.0, [32, 64], [32, 64]), ("c", None, [32, 64], [32, 64]),
    ]  # fmt: skip
    assert rows[2]["skipped"] == "no pixel has truth that counts"
    assert read_kpi(out / "status.json")["epe"] == 2.25
    assert "2 of 3 pairs" in capsys.readouterr().out
    assert (out / "report.html").read_text().startswith("<!doctype html>")


def test_a_benchmarks_own_folders_and_definitions(tmp_path: Path, tiny_onnx: Callable[..., Path]) -> None:
    """KITTI 2015: 16-bit truth, disp_noc as what both cameras see, D1 over all pixels, a folder with a space."""
    root = tmp_path / "KITTI 2015" / "training"
    for place, (truth, seen_columns, known_rows) in enumerate(((24.0, 16, 32), (20.5, 64, 8))):
        name = f"00000{place}_10.png"
        known = np.zeros((32, 64), np.uint16)
        known[:known_rows] = 256 * truth
        left = np.zeros((32, 64, 3), np.uint8)
        left[..., 0] = 80  # the answer is 20 px
        for folder, picture in (
            ("image_2", left),
            ("image_3", left + 1),
            ("disp_occ_0", known),
            ("disp_noc_0", np.where(np.arange(64) < seen_columns, known, 0).astype(np.uint16)),
        ):
            (root / folder).mkdir(parents=True, exist_ok=True)
            write_png(root / folder / name, picture)
    out = tmp_path / "out"
    command = ("eval", tiny_onnx(), "--layout", "kitti", "--root", root.parent, "--protocol", "kitti", "-o", out)
    assert ffs(*command) == 0
    found = results(out)
    assert (found["protocol"], found["evaluated"]) == ("kitti", 2)
    assert found["d1_all"] == 32 / 40
    assert found["d1_noc"] == 32 * 16 / (32 * 16 + 8 * 64)
    assert (found["out3_all"], found["avg_all"], found["avg_noc"]) == (0.5, 2.25, 2.25)
    assert found["per_image"]["non_occluded"]["pixels"] == 32 * 16 + 8 * 64


def test_tao_counts_below_the_engines_largest_disparity(tmp_path: Path, tiny_onnx: Callable[..., Path]) -> None:
    """192 px of a network; another limit where one is given; both containers' figures, in status.json as well."""
    truth = np.repeat([20.5, 200.0], 16)[:, None]
    command = (
        "eval",
        tiny_onnx(),
        "--list",
        listed(tmp_path, written(tmp_path, "a", 20.0, truth)),
        "--protocol",
        "tao",
    )
    for more, epe in ((), 0.5), (("--count-below", 300), (0.5 + 180) / 2):
        assert ffs(*command, *more, "-o", tmp_path / "out") == 0
        assert results(tmp_path / "out")["val/epe"] == results(tmp_path / "out")["epe"] == epe
    assert results(tmp_path / "out")["val/rmse"] == pytest.approx(results(tmp_path / "out")["rmse"] ** 0.5)
    kpi = json.loads((tmp_path / "out" / "status.json").read_text().splitlines()[-1])["kpi"]
    assert {"val/epe", "epe", "val/bp2", "bp2", "val/d1", "d1"} <= set(kpi)


REAL = (
    "mb2003_cones", "mb2001_tsukuba", "mb2006_reindeer", "mb2006_aloe", "mb2014_adirondack_q",
    "eth3d_playground_1l", "kitti2015_000000", "kitti2012_000000", "ft3d_TEST_A0000_0006",
)  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_published_figures_of_real_pairs(tmp_path: Path, shared: Path, name: str) -> None:
    """SGBM with the range that is written beside them: all pixels, those that both cameras see as far as a mask says,
    and those that it answers. Grey of 8 bits with its scale, KITTI's 16 bits, PFM; within 0.1 points."""
    folder = shared / "data" / "stereo" / name
    facts = next(e for e in json.loads((folder.parent / "manifest.json").read_text()) if e["name"] == name)
    files = [next(folder.glob(pattern)) for pattern in ("left.*", "right.*", "disp_gt.*")]
    mask = folder / "mask_nonocc.png"
    path = listed(tmp_path, " ".join(f'"{file}"' for file in [*files, *([mask] if mask.exists() else [])]))
    scale = [] if facts["gt_scale"] in (None, 256) else ["--gt-scale", facts["gt_scale"]]
    dataset = "Kitti" if name.startswith("kitti") else "Middlebury"
    sgbm = facts["baseline_sgbm"]
    command = ("eval", "sgbm", "--max-disparity", sgbm["nd"], "--list", path, "--dataset", dataset, *scale)
    assert ffs(*command, "-o", tmp_path / "out", "--worst", 0) == 0
    found = results(tmp_path / "out")["per_image"]
    assert 100 * found["all"]["density"] == pytest.approx(sgbm["sgbm_density"], abs=0.1)
    published = {"all": sgbm["all"], "all_answered": sgbm["matched_only"]}
    if mask.exists():
        published["non_occluded"] = sgbm["nonocc"]
    for region, figures in published.items():
        assert found[region]["epe"] == pytest.approx(figures["epe"], abs=0.005)
        for share in ("bp1", "bp2", "bp3", "D1"):
            assert 100 * found[region][share.lower()] == pytest.approx(figures[share], abs=0.1)


def test_processes_and_threads_give_the_same_files(tmp_path: Path) -> None:
    """Byte for byte: results, rows and the page with its pictures."""
    rng = np.random.default_rng(0)
    lines = []
    for name in "abcdef":
        line = written(tmp_path, name, 0.0, 6.0)
        texture = cv2.resize(rng.integers(0, 256, (20, 40, 3), np.uint8), (160, 60))
        write_png(tmp_path / name / "left.png", texture[:32, :64])
        write_png(tmp_path / name / "right.png", texture[:32, 6:70])
        lines.append(line)
    made = []
    for workers in (1, 2):
        out = tmp_path / f"out{workers}"
        command = ("eval", "sgbm", "--max-disparity", 16, "--list", listed(tmp_path, *lines), "--worst", 3)
        assert ffs(*command, "-o", out, "--workers", workers) == 0
        made.append({path.name: path.read_bytes() for path in out.iterdir() if path.name != "status.json"})
    assert made[0] == made[1]
    assert set(made[0]) == {"results.json", "per_sample_results.json", "report.html"}


def test_every_problem_of_a_list_is_said_at_once(
    tmp_path: Path, tiny_onnx: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing and damaged files, other sizes, another encoding; a sentence each, exit 2, and nothing is written."""
    good = written(tmp_path, "good", 20.0, 20.0)
    odd = written(tmp_path, "odd", 20.0, 20.0)
    write_pfm(tmp_path / "odd" / "truth.pfm", np.ones((30, 64), np.float32))
    right = written(tmp_path, "right", 20.0, 20.0)
    write_png(tmp_path / "right" / "right.png", np.zeros((32, 63, 3), np.uint8))
    text = written(tmp_path, "text", 20.0, 20.0)
    (tmp_path / "text" / "left.png").write_text("no picture")
    grey = written(tmp_path, "grey", 20.0, 20.0).replace("truth.pfm", "truth.png")
    write_png(tmp_path / "grey" / "truth.png", np.ones((32, 64), np.uint16))
    missing = good.replace("truth.pfm", "none.pfm")
    same = " ".join(good.split()[:1] * 2)
    path = listed(tmp_path, good, odd, right, text, grey, missing, same)
    assert ffs("eval", tiny_onnx(), "--list", path, "-o", tmp_path / "out") == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.startswith("ffs: ") for line in said] == [True] * 6
    expected = (
        "odd/truth.pfm is 64x30 and", "right/right.png is 63x32 and", "text/left.png is damaged or not a picture",
        "grey/truth.png is a grey picture of 16 bits", "cannot read", "is listed as left and as right",
    )  # fmt: skip
    assert all(what in line for what, line in zip(expected, said, strict=True))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--list", "none.txt"], "cannot read none.txt: No such file or directory"),
        (["--list", "empty.txt"], "empty.txt lists no pair"),
        (["--list", "good.txt", "--dataset", "Kiti"], "dataset_name 'Kiti' does not exist: expected one of FSD"),
        (["--list", "good.txt", "-o", "good.txt"], "cannot make the folder good.txt: File exists"),
        (["--list", "good.txt", "-o", "/proc/out"], "cannot make the folder /proc/out"),
        (["--list", "good.txt", "--count-below", "nan"], "--count-below is nan: expected pixels above 0"),
        (["--list", "good.txt", "--count-below", "3"], "none of 1 pairs has ground truth that counts"),
        (["--list", "untrue.txt"], "no pair has ground truth"),
        (["--list", "wrong.txt", "--list", "empty.txt"], "wrong.txt, line 2 has 1 of 2 to 4 columns"),
        (["--layout", "kitti"], "--layout and --root go together"),
        (["--layout", "kitti", "--root", "."], ". holds no pair in the layout 'kitti'"),
        ([], "expected --list FILE, or --layout NAME with --root DIR"),
    ],
)
def test_wrong_arguments(
    tmp_path: Path,
    tiny_onnx: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    """One sentence and exit 2."""
    engine = tiny_onnx()
    monkeypatch.chdir(tmp_path)
    good = written(tmp_path, "good", 20.0, 20.0)
    (tmp_path / "good.txt").write_text(good)
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "untrue.txt").write_text(" ".join(good.split()[:2]))
    (tmp_path / "wrong.txt").write_text(f"{good}\nalone.png\n")
    assert ffs("eval", engine, *arguments) == 2
    assert capsys.readouterr().err.startswith(f"ffs: {sentence}")


def test_one_evaluation_at_a_time_writes_into_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second one is refused, and does not touch the first one's log."""
    shifted_pairs(tmp_path, 1, (32, 64), with_truth=True)
    with held(tmp_path):
        assert ffs("eval", "sgbm", "--list", tmp_path / "list.txt", "-o", tmp_path) == 2
    assert "another evaluation is writing into" in capsys.readouterr().err
    assert not (tmp_path / "status.json").exists()


def test_an_engine_that_does_not_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its sentence, and FAILURE in status.json."""
    path = listed(tmp_path, written(tmp_path, "a", 20.0, 20.0))
    assert ffs("eval", tmp_path / "none.onnx", "--list", path, "-o", tmp_path / "out") == 2
    assert "none.onnx" in capsys.readouterr().err
    last = json.loads((tmp_path / "out" / "status.json").read_text().splitlines()[-1])
    assert last["status"] == "FAILURE"


def test_a_pair_that_fails_is_named_and_the_others_count(
    tmp_path: Path, tiny_onnx: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A picture that is cut short behind its header: the figures are the other's, and the exit code is 2."""
    lines = [written(tmp_path, "a", 20.0, 21.5), written(tmp_path, "b", 20.0, 30.0)]
    content = (tmp_path / "b" / "right.png").read_bytes()
    (tmp_path / "b" / "right.png").write_bytes(content[:-20])
    assert ffs("eval", tiny_onnx(), "--list", listed(tmp_path, *lines), "-o", tmp_path / "out") == 2
    assert "b/right.png is cut short" in capsys.readouterr().err
    found = results(tmp_path / "out")
    assert (found["epe"], found["evaluated"], found["failed"]) == (1.5, 1, 1)
    assert "is cut short" in json.loads((tmp_path / "out" / "per_sample_results.json").read_text())[1]["fault"]


def test_ctrl_c_leaves_no_half_written_file(
    tmp_path: Path, tiny_onnx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of the list: exit code 130, and only status.json is there."""
    from ffs_ros.matcher import StereoMatcher

    calls = []

    def interrupted(*_: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return np.zeros((32, 64), np.float32)

    monkeypatch.setattr(StereoMatcher, "match", interrupted)
    lines = [written(tmp_path, name, 20.0, 20.0) for name in "abc"]
    assert ffs("eval", tiny_onnx(), "--list", listed(tmp_path, *lines), "-o", tmp_path / "out") == 130
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["status.json"]


def test_killed_in_the_middle_it_goes_on(tmp_path: Path) -> None:
    """kill -9 after a part is finished, again: the files of a run that was not killed, byte for byte."""
    pairs, out = shifted_pairs(tmp_path / "data", 80, (96, 240), with_truth=True), tmp_path / "out"
    run = ["eval", "sgbm", "--list", pairs, "--worst", 3, "--max-disparity", 64]
    killed_when("000000.json", out, *run, "--workers", 2)
    assert not (out / "results.json").exists()
    for folder in (out, tmp_path / "whole"):
        assert ffs(*run, "-o", folder, "--workers", 1) == 0
    assert set(tree(out)) == {"results.json", "per_sample_results.json", "report.html"}
    assert tree(out) == tree(tmp_path / "whole")


def test_progress_is_told(
    tmp_path: Path, tiny_onnx: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal a bar with the number of pairs."""
    monkeypatch.setattr("ffs_ros.tools.progress_bar._REDRAW_s", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    lines = [written(tmp_path, name, 20.0, 20.0) for name in "ab"]
    assert ffs("eval", tiny_onnx(), "--list", listed(tmp_path, *lines), "-o", tmp_path / "out") == 0
    assert "] 100%" in capsys.readouterr().err
