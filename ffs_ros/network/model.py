"""Fast-FoundationStereo, layout "bp2": two rectified images -> disparity.

Shapes: B pairs of H,W pixels, both multiples of 32; h = H/4, w = W/4; D = 48 disparity planes. All disparities inside
are in 1/4-resolution pixels; only ``upsample`` multiplies by 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ffs_ros.errors import EngineError
from ffs_ros.imagenet import DEVIATION_RGB, MEAN_RGB

from .context import ChannelAttention, ContextHeads, SpatialAttention
from .decoder import FeatureDecoder, Pyramid, half_resolution_stem
from .filtering import Hourglass, expected_plane, volume_stem
from .lookup import LookUp
from .recurrent import UpdateBlock
from .upsampling import blend_scores, convex_upsample, half_resolution_merge
from .volume import all_pairs_correlation, concatenation, group_correlation

SIZE_MULTIPLE = 32


class Estimate(NamedTuple):
    """The state of the iteration."""

    disparity: Tensor  # B,1,h,w in 1/4-resolution pixels
    hidden: Tensor  # B,60,h,w


class Evidence(NamedTuple):
    """What the two images say; the iterations read it and never change it."""

    look_up: LookUp
    context: Tensor  # B,48,h,w
    attention: Tensor  # B,1,h,w
    stem: Tensor  # B,16,H/2,W/2


class FastFoundationStereo(nn.Module):
    """The network. Names of parameters and buffers are TAO's, so a checkpoint's tensors load as they are."""

    mean: Tensor
    std: Tensor

    def __init__(self, iterations: int = 8) -> None:
        super().__init__()
        self.iterations = iterations
        self.feature = FeatureDecoder()
        self.stem_2 = half_resolution_stem()
        self.proj_cmb = nn.Conv2d(224, 12, 1)
        self.corr_feature_att = volume_stem()
        self.cost_agg = Hourglass()
        self.classifier = nn.Sequential(nn.Conv3d(28, 1, 3, padding=1))
        self.cnet = ContextHeads()
        self.cam = ChannelAttention()
        self.sam = SpatialAttention()
        self.update_block = UpdateBlock()
        self.spx_2_gru = half_resolution_merge()
        self.spx_gru = blend_scores()
        self.register_buffer("mean", torch.tensor(MEAN_RGB).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(DEVIATION_RGB).view(3, 1, 1), persistent=False)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Disparity of the left view in pixels, B,1,H,W float32, positive to the left in the right view, not clipped.

        ``left``, ``right``: rectified RGB, B,3,H,W, uint8 or float32 in 0..255, H and W multiples of 32. In
        ``eval`` mode the pairs of a batch do not influence each other. Raises EngineError for any other shape.
        """
        evidence, estimate = self.prepare(left, right)
        for _ in range(self.iterations):
            estimate = self.refine(evidence, estimate)
        return self.upsample(evidence, estimate)

    def predictions(self, left: Tensor, right: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What training compares with the truth, from the images ``forward`` takes.

        The initial disparity, B,1,h,w in 1/4-resolution pixels, and after each iteration the disparity in pixels,
        B,1,H,W. No gradient passes from one iteration's disparity to the one before it.
        """
        evidence, initial = self.prepare(left, right)
        estimate, maps = initial, []
        for _ in range(self.iterations):
            estimate = self.refine(evidence, estimate)
            maps.append(self.upsample(evidence, estimate))
        return initial.disparity, maps

    def prepare(self, left: Tensor, right: Tensor) -> tuple[Evidence, Estimate]:
        """Everything before the first iteration: the evidence, and the estimate that the volume alone gives."""
        _require_pair(left, right)
        left, right = self.normalised(left), self.normalised(right)
        left_features, right_f4 = self.features(left, right)
        geometry = self.geometry(self.cost_volume(left_features.f4, right_f4), left_features)
        look_up = LookUp(geometry, all_pairs_correlation(left_features.f4, right_f4))
        hidden, context, attention = self.contexts(left_features.f4)
        initial = Estimate(expected_plane(self.logits(geometry)), hidden)
        return Evidence(look_up, context, attention, self.stem_2(left)), initial

    def refine(self, evidence: Evidence, estimate: Estimate) -> Estimate:
        """One iteration: look up around the disparity, update the hidden state, add the change it yields."""
        disparity = estimate.disparity.detach()
        looked_up = evidence.look_up(disparity)
        return Estimate(*self.update_block(disparity, estimate.hidden, looked_up, evidence.context, evidence.attention))

    def upsample(self, evidence: Evidence, estimate: Estimate) -> Tensor:
        """B,1,H,W disparity in pixels."""
        return convex_upsample(estimate.disparity, self.blend_weights(evidence.stem, estimate.hidden))

    # The steps, in order.

    def normalised(self, rgb: Tensor) -> Tensor:
        """0..255 -> float32, zero mean and unit deviation over ImageNet's photographs."""
        return (rgb.float() / 255 - self.mean) / self.std

    def features(self, left: Tensor, right: Tensor) -> tuple[Pyramid, Tensor]:
        """The left view's pyramid, and of the right view the finest level, which is all that is needed."""
        both = self.feature(torch.cat((left, right)))
        return Pyramid(*(level[: len(left)] for level in both)), both.f4[len(left) :]

    def cost_volume(self, left_f4: Tensor, right_f4: Tensor) -> Tensor:
        """B,32,D,h,w: 8 group correlations, 12 channels of the left view, 12 of the right one."""
        projected = concatenation(self.proj_cmb(left_f4), self.proj_cmb(right_f4))
        return torch.cat((group_correlation(left_f4, right_f4).to(projected.dtype), projected), dim=1)

    def geometry(self, volume: Tensor, left: Pyramid) -> Tensor:
        """B,28,D,h,w."""
        return self.cost_agg(self.corr_feature_att(volume, left.f4), left)

    def logits(self, geometry: Tensor) -> Tensor:
        """B,D,h,w: a score for each plane."""
        return self.classifier(geometry)[:, 0]

    def contexts(self, left_f4: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The first hidden state B,60,h,w, the context B,48,h,w and the spatial attention B,1,h,w."""
        hidden, context = self.cnet(left_f4)
        context = self.cam(context)
        return hidden, context, self.sam(context)

    def mask_features(self, hidden: Tensor) -> Tensor:
        """B,16,h,w. The quarter, as in RAFT, balances gradients."""
        return 0.25 * self.update_block.mask(hidden)

    def blend_weights(self, stem: Tensor, hidden: Tensor) -> Tensor:
        """B,9,H,W: how each pixel blends the nine coarse disparities around it; they sum to 1."""
        return self.spx_gru(self.spx_2_gru(self.mask_features(hidden), stem)).softmax(dim=1)


def network_from(tensors: Mapping[str, np.ndarray], iterations: int = 8) -> FastFoundationStereo:
    """The network with these weights, on the CPU, in inference mode (``eval``).

    ``tensors`` holds exactly the live tensors of a bp2 checkpoint under TAO's names (``checkpoint.open_checkpoint``);
    anything missing, unknown or of another shape raises RuntimeError.
    """
    network = FastFoundationStereo(iterations)
    network.load_state_dict({name: torch.tensor(array) for name, array in tensors.items()})
    return network.eval()


def _require_pair(left: Tensor, right: Tensor) -> None:
    shape = tuple(left.shape)
    fits = left.ndim == 4 and shape[1] == 3 and all(size and size % SIZE_MULTIPLE == 0 for size in shape[2:])
    if not fits or left.shape != right.shape:
        raise EngineError(
            f"The network was given images of shapes {shape} and {tuple(right.shape)}; it takes two of one shape "
            f"(batch, 3, height, width) with height and width multiples of {SIZE_MULTIPLE}. Pad or resize them first."
        )
