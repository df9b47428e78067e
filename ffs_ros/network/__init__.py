"""The Fast-FoundationStereo network in PyTorch, layout "bp2". The only part of the package that imports torch."""

from __future__ import annotations

from .inference import Inference, disparity_of
from .model import FastFoundationStereo, network_from

__all__ = ["FastFoundationStereo", "Inference", "disparity_of", "network_from"]
