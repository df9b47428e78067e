"""Errors of an engine on the real stereo pairs with ground truth, beside those of OpenCV's SGBM.

python test/benchmarks/real_pairs.py CHECKPOINT|ENGINE [--gpu N] [--pairs FOLDER] [--out FOLDER]
    [--keep ANSWERS.npz] [--against ANSWERS.npz]

All ground-truth pixels count, occluded ones too, at the pairs' own sizes; mb2006_aloe, whose disparities exceed the
network's range, is inferred at half size and its disparity doubled. SGBM's figures have their holes filled. ``--out``
receives left image, disparity and truth of each pair as a picture. ``--keep`` writes the disparities, and ``--against``
says how far they are from those that another engine, perhaps on another machine, has kept.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import cv2
import numpy as np

from ffs_ros.demo.pair import pair_in_folder
from ffs_ros.engine import Engine, EngineInfo, TensorSpec, open_engine
from ffs_ros.matcher import StereoMatcher
from ffs_ros.metrics import counted, scores

HALVED = "mb2006_aloe"
RENDERED = "ft3d_TEST_A0000_0006"
ITERATIONS = 8


class TorchEngine:
    """A checkpoint as an engine, for comparison."""

    def __init__(self, path: Path) -> None:
        import torch

        from ffs_ros.checkpoint import open_checkpoint
        from ffs_ros.network import network_from

        self._torch = torch
        self._network = network_from(open_checkpoint(path).tensors, ITERATIONS)
        image = TensorSpec((1, None, None, 3), np.dtype(np.uint8))
        self.inputs = {"left": image, "right": image}
        self.outputs = {"disparity": TensorSpec((1, 1, None, None), np.dtype(np.float32))}
        self.info = EngineInfo(path.name, f"PyTorch {torch.__version__} (CPU)", 192.0, 32)

    def infer(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run once."""
        images = [self._torch.from_numpy(feeds[side]).permute(0, 3, 1, 2) for side in ("left", "right")]
        with self._torch.inference_mode():
            return {"disparity": self._network(*images).numpy()}

    def close(self) -> None:
        """Nothing to free."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine")
    default = Path(os.environ.get("FFS_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data" / "stereo"
    parser.add_argument("--pairs", type=Path, default=default)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--gpu", type=int, help="for an .engine file, or ONNX Runtime on a GPU")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--against", type=Path)
    args = parser.parse_args()
    is_checkpoint = Path(args.engine).suffix in (".pth", ".safetensors")
    engine: Engine = TorchEngine(Path(args.engine)) if is_checkpoint else open_engine(args.engine, gpu_index=args.gpu)
    matcher = StereoMatcher(engine)
    print(
        f"{'pair':22} {'epe':>6} {'bp1 %':>6} {'bp2 %':>6} {'bp3 %':>6} {'D1 %':>6} {'density':>8}   SGBM: epe  bp2 %"
    )
    rows = []
    answers: dict[str, np.ndarray] = {}
    for facts in json.loads((args.pairs / "manifest.json").read_text()):
        if not facts.get("baseline_sgbm"):
            continue
        name = facts["name"]
        pair = pair_in_folder(args.pairs / name)
        left, right, truth_HW = pair.left_HW3, pair.right_HW3, pair.truth_HW
        disparity_HW = _halved(matcher, left, right) if name == HALVED else matcher.match(left, right)
        found = scores(disparity_HW, truth_HW, counted(truth_HW, np.inf))
        sgbm = facts["baseline_sgbm"]["all"]
        rows.append((name, found, sgbm))
        answers[name] = disparity_HW
        percent = " ".join(f"{100 * share:6.2f}" for share in (found.bp1, found.bp2, found.bp3, found.d1))
        print(
            f"{name:22} {found.epe:6.2f} {percent} {found.density:8.1%}        {sgbm['epe']:4.2f} {sgbm['bp2']:6.2f}",
            flush=True,
        )
        if args.out:
            args.out.mkdir(parents=True, exist_ok=True)
            _draw(args.out / f"{name}.png", left, disparity_HW, truth_HW)
    real = [row for row in rows if row[0] != RENDERED]
    bp2 = np.mean([100 * found.bp2 for _, found, _ in real])
    epe = np.mean([found.epe for _, found, _ in real])
    print(
        f"mean of the {len(real)} real pairs: epe {epe:.2f} px, bp2 {bp2:.2f} %; SGBM: epe "
        f"{np.mean([s['epe'] for *_, s in real]):.2f} px, bp2 {np.mean([s['bp2'] for *_, s in real]):.2f} %"
    )
    if args.keep:
        np.savez_compressed(args.keep, **answers)
    if args.against:
        _compare(answers, args.against)


def _compare(answers: dict[str, np.ndarray], path: Path) -> None:
    print(f"against {path}:\n{'pair':22} {'mean px':>9} {'max px':>8} {'bad-2 %':>9}")
    with np.load(path) as others:
        for name, disparity_HW in answers.items():
            difference_HW = np.abs(disparity_HW - others[name])
            print(
                f"{name:22} {difference_HW.mean():9.5f} {difference_HW.max():8.4f} "
                f"{100 * (difference_HW > 2).mean():9.4f}"
            )


def _halved(matcher: StereoMatcher, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    height, width = left.shape[:2]
    half = (width // 2, height // 2)
    small = matcher.match(*(cv2.resize(image, half, interpolation=cv2.INTER_AREA) for image in (left, right)))
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR) * np.float32(width / half[0])


def _draw(path: Path, left: np.ndarray, disparity_HW: np.ndarray, truth_HW: np.ndarray) -> None:
    largest = float(np.nanpercentile(truth_HW[np.isfinite(truth_HW)], 99.5))
    panels = []
    for map_HW in (disparity_HW, truth_HW):
        shown = np.nan_to_num(np.clip(map_HW / largest, 0, 1), nan=0.0, posinf=0.0)
        panels.append(cv2.applyColorMap((255 * shown).astype(np.uint8), cv2.COLORMAP_TURBO))
    cv2.imwrite(str(path), np.concatenate((left[..., ::-1], *panels), axis=1))


if __name__ == "__main__":
    main()
