"""The network on NumPy images, for those who have no use for torch otherwise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from .model import network_from


class Inference:
    """The network with one set of weights, in fp32, on a GPU or on the CPU."""

    def __init__(self, tensors: Mapping[str, np.ndarray], iterations: int = 8, gpu_index: int | None = None) -> None:
        """``tensors`` as for ``network_from``. A GPU is used only where ``gpu_index`` names one that torch sees."""
        on_gpu = gpu_index is not None and gpu_index < torch.cuda.device_count()
        self._device = torch.device(f"cuda:{gpu_index}" if on_gpu else "cpu")
        self._network = network_from(tensors, iterations).to(self._device)
        self.runtime = f"PyTorch {torch.__version__} ({'CUDA' if on_gpu else 'CPU'})"
        self.device = torch.cuda.get_device_name(self._device) if on_gpu else "CPU"

    def __call__(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Disparity of the left images, float32 [B,1,H,W] in pixels, not clipped.

        ``left`` and ``right`` uint8 [B,H,W,3] RGB, H and W multiples of 32. The same numbers on a GPU as far as its
        convolutions allow: TensorFloat-32 is off.
        """
        images = (torch.from_numpy(image).to(self._device).permute(0, 3, 1, 2) for image in (left, right))
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            return self._network(*images).cpu().numpy()


def disparity_of(
    tensors: Mapping[str, np.ndarray], left: np.ndarray, right: np.ndarray, iterations: int = 8
) -> np.ndarray:
    """``Inference`` on the CPU, once."""
    return Inference(tensors, iterations)(left, right)
