"""What decoding and rectifying a pair costs on one core: ``python test/benchmarks/images.py LEFT.png``.

The picture is scaled to two sizes and packed as image_transport does it by default, and as PNG of 8 and of 16 bits.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from raw_camera import RawCamera, rotation

from ffs_ros.geometry import StereoCamera
from ffs_ros.rectification import StereoRectification
from ffs_ros.wire import rgb_from_message

SIZES = ((480, 640), (720, 1280))
LENSES = {
    "plumb_bob": (-0.28, 0.07, 0.001, -0.001, 0.0),
    "rational_polynomial": (0.9, -0.4, 0.0, 0.0, 0.05, 1.2, -0.2, -0.05),
    "equidistant": (0.02, 0.03, -0.03, 0.005),
}
ROUNDS = 30


def milliseconds(work: Callable[[], object], rounds: int = ROUNDS) -> str:
    """Median and least of several rounds."""
    times_ms = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times_ms.append(1e3 * (time.perf_counter() - begin))
    return f"{np.median(times_ms):6.1f} ms (least {min(times_ms):.1f})"


def main() -> None:
    """Print a line for each form of a pair and each lens."""
    cv2.setNumThreads(1)  # as in the node
    picture = cv2.imread(sys.argv[1])
    for height, width in SIZES:
        bgr = cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC)
        forms = (
            (".jpg", "rgb8; jpeg compressed bgr8", [cv2.IMWRITE_JPEG_QUALITY, 80], bgr),
            (".png", "rgb8; png compressed bgr8", [cv2.IMWRITE_PNG_COMPRESSION, 3], bgr),
            (".png", "16UC1; png compressed ", [cv2.IMWRITE_PNG_COMPRESSION, 3], bgr[..., 0].astype(np.uint16) * 4),
        )
        for ending, format_, options, pixels in forms:
            message = SimpleNamespace(format=format_, data=cv2.imencode(ending, pixels, options)[1])
            cost = milliseconds(lambda message=message: [rgb_from_message(message, 10) for _ in range(2)])
            print(f"{height}x{width} {format_:28} {message.data.size / 1e3:5.0f} kB an image: decoding a pair {cost}")
        for model, coefficients in LENSES.items():
            k, p = (0.7 * width, 0.7 * width, width / 2, height / 2), (0.8 * width, 0.8 * width, width / 2, height / 2)
            left = RawCamera(width, height, k, p, model=model, d=coefficients, r=rotation(0.01, 0.01, 0.01))
            right = replace(left, tx=-0.08 * width, r=rotation(-0.01, 0.0, 0.01))
            infos = left.info(), right.info()
            camera = StereoCamera.from_camera_info(*infos)
            maps = milliseconds(lambda infos=infos, camera=camera: StereoRectification.of(*infos, camera), 7)
            rectification = StereoRectification.of(*infos, camera)
            pair = milliseconds(lambda rectification=rectification, bgr=bgr: rectification.images(bgr, bgr))
            print(f"{height}x{width} {model:28} a pair {pair}, once the maps {maps}")


if __name__ == "__main__":
    main()
