"""The Fast-FoundationStereo network in PyTorch, layout "bp2". The only part of the package that imports torch."""

from __future__ import annotations

from .model import FastFoundationStereo, network_from

__all__ = ["FastFoundationStereo", "network_from"]
