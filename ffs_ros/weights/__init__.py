"""The weights that ship with the package: README.md beside this file says what they are."""

from __future__ import annotations

from pathlib import Path

SYNTHETIC = "ffs-synthetic"
"""What the engine with these weights is called."""
SYNTHETIC_NOTE = f"{SYNTHETIC} weights, trained on rendered scenes alone; for production export NVIDIA's bp2"

FOLDER = Path(__file__).parent
GRAPH = FOLDER / "ffs_synthetic.onnx"
"""Small: its weights are those of the file below, which must lie beside it."""
WEIGHTS = FOLDER / "ffs_synthetic.safetensors"
