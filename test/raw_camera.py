"""A raw camera written down from the models' definitions, beside OpenCV: where a ray meets its image, and what it sees.

The formulas are those of OpenCV's documentation of ``calib3d`` and ``fisheye``; nothing here calls OpenCV.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np


def rotation(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    """Turns about the axes, in radians, z first."""
    (cx, cy, cz), (sx, sy, sz) = np.cos([x, y, z]), np.sin([x, y, z])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(about_x @ about_y @ about_z, np.float64)


@dataclass(frozen=True)
class RawCamera:
    """One camera of a pair: raw by k, d and r, rectified by p, both at full resolution."""

    width: int
    height: int
    k: tuple[float, float, float, float]
    """fx, fy, cx, cy."""
    p: tuple[float, float, float, float]
    tx: float = 0.0
    model: str = "plumb_bob"
    d: tuple[float, ...] = ()
    r: np.ndarray = field(default_factory=lambda: np.eye(3))

    def info(self) -> SimpleNamespace:
        """As a sensor_msgs/CameraInfo, by attribute."""
        (kfx, kfy, kcx, kcy), (fx, fy, cx, cy) = self.k, self.p
        return SimpleNamespace(
            width=self.width, height=self.height, distortion_model=self.model, d=list(self.d),
            k=[kfx, 0.0, kcx, 0.0, kfy, kcy, 0.0, 0.0, 1.0], r=self.r.ravel().tolist(),
            p=[fx, 0.0, cx, self.tx, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0], binning_x=0, binning_y=0,
            roi=SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False),
        )  # fmt: skip

    def distorted(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tangents of a ray in the raw camera's frame -> those that it seems to have."""
        if self.model in ("equidistant", "fisheye") and self.d:
            radius = np.maximum(np.hypot(x, y), 1e-12)
            theta = np.arctan(radius)
            seeming = theta + sum(k * theta ** (2 * n + 3) for n, k in enumerate(self.d))
            return x * seeming / radius, y * seeming / radius
        k1, k2, p1, p2, k3, k4, k5, k6 = (*self.d, *[0.0] * (8 - len(self.d)))
        r2 = x**2 + y**2
        radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
        return (
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2),
            y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y,
        )

    def raw_of_rectified(self, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the raw image shows what the rectified one shows at (u, v)."""
        fx, fy, cx, cy = self.p
        ray = np.stack([(u - cx) / fx, (v - cy) / fy, np.ones_like(u)])
        x, y, z = np.tensordot(self.r.T, ray, axes=1)
        x, y = self.distorted(x / z, y / z)
        return self.k[0] * x + self.k[2], self.k[1] * y + self.k[3]

    def rectified_of_raw(self) -> tuple[np.ndarray, np.ndarray]:
        """(u, v) in the rectified image of every pixel of the raw one, by Newton's method on ``distorted``."""
        column, row = np.meshgrid(np.arange(self.width, dtype=float), np.arange(self.height, dtype=float))
        wanted_x, wanted_y = (column - self.k[2]) / self.k[0], (row - self.k[3]) / self.k[1]
        x, y, step = wanted_x.copy(), wanted_y.copy(), 1e-6
        for _ in range(10):
            fx, fy = self.distorted(x, y)
            (ax, ay), (bx, by) = self.distorted(x + step, y), self.distorted(x, y + step)
            xx, xy, yx, yy = (ax - fx) / step, (bx - fx) / step, (ay - fy) / step, (by - fy) / step
            determinant = xx * yy - xy * yx
            dx, dy = wanted_x - fx, wanted_y - fy
            x += (yy * dx - xy * dy) / determinant
            y += (xx * dy - yx * dx) / determinant
        ray = np.tensordot(self.r, np.stack([x, y, np.ones_like(x)]), axes=1)
        fx, fy, cx, cy = self.p
        return fx * ray[0] / ray[2] + cx, fy * ray[1] / ray[2] + cy

    def raw_image(self, texture: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        """What it sees of a world that looks like ``texture(u, v)`` (0 to 255) when rectified: uint8 (H,W,3)."""
        return as_image(texture(*self.rectified_of_raw()))


def as_image(grey: np.ndarray) -> np.ndarray:
    """uint8 (H,W,3)."""
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)


def waves(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A smooth texture that differs everywhere; its steepest slope is 20 grey levels in a pixel."""
    return (
        127.5
        + 40 * np.sin(2 * np.pi * u / 17.0)
        + 40 * np.sin(2 * np.pi * v / 19.0)
        + 40 * np.sin(2 * np.pi * (0.8 * u + 0.6 * v) / 37.0)
    )


def offsets_px(
    image: np.ndarray, texture: Callable[[np.ndarray, np.ndarray], np.ndarray], block: int = 24
) -> np.ndarray:
    """How far each block of ``image`` is from where ``texture`` has it, in pixels along x and y: (blocks,2).

    One step of least squares (Lucas and Kanade) with the texture's own slopes.
    """
    height, width = image.shape[:2]
    u, v = np.meshgrid(np.arange(width, dtype=float), np.arange(height, dtype=float))
    slope_u = (texture(u + 0.01, v) - texture(u - 0.01, v)) / 0.02
    slope_v = (texture(u, v + 0.01) - texture(u, v - 0.01)) / 0.02
    difference = image[..., 0].astype(float) - texture(u, v)
    found = []
    for top in range(0, height - block + 1, block):
        for left in range(0, width - block + 1, block):
            part = np.s_[top : top + block, left : left + block]
            slopes = np.stack([slope_u[part].ravel(), slope_v[part].ravel()], axis=1)
            found.append(np.linalg.lstsq(slopes, difference[part].ravel(), rcond=None)[0])
    return -np.array(found)
