"""A checkpoint as an engine: the network in PyTorch, the reference that all other engines are held to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import numpy as np

from ffs_ros.advice import EXPORT_PACKAGES
from ffs_ros.checkpoint import open_checkpoint
from ffs_ros.engine import EngineInfo, TensorSpec
from ffs_ros.engine.contract import OUTPUT, check_feeds
from ffs_ros.errors import EngineError
from ffs_ros.graph.form import SIZE_MULTIPLE, MAX_DISPARITY_px


class TorchEngine:
    """See ``Engine``; takes uint8 images of any size that is a multiple of 32."""

    def __init__(self, path: str | Path, iterations: int = 8, gpu_index: int | None = 0) -> None:
        """Raises FileError or CheckpointError for what is no checkpoint, EngineError where PyTorch is missing."""
        checkpoint = open_checkpoint(path)
        try:
            from ffs_ros.network import Inference
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("ffs_ros"):
                raise
            raise EngineError(
                f"{path} is a checkpoint, which PyTorch runs, and the Python package '{error.name}' is not installed; "
                f"{EXPORT_PACKAGES}, or export it on a machine that has it: ffs export"
            ) from None
        self._network = Inference(checkpoint.tensors, iterations, gpu_index)
        self.info = EngineInfo(
            name=Path(path).name,
            runtime=self._network.runtime,
            max_disparity=float(MAX_DISPARITY_px),
            size_multiple=SIZE_MULTIPLE,
            note=f"{iterations} iterations in fp32",
            on_gpu=self._network.device != "CPU",
            device=self._network.device,
            dense=True,
        )
        image = TensorSpec((None, None, None, 3), np.dtype(np.uint8))
        self.inputs: Mapping[str, TensorSpec] = {"left": image, "right": image}
        self.outputs: Mapping[str, TensorSpec] = {OUTPUT: TensorSpec((None, 1, None, None), np.dtype(np.float32))}

    def infer(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run once; see ``Engine``."""
        check_feeds(self.inputs, feeds)
        return {OUTPUT: self._network(feeds["left"], feeds["right"])}

    def close(self) -> None:
        """Nothing is held beyond this object."""

    def __enter__(self) -> TorchEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
