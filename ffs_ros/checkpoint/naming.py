"""The two namings of the same tensors: the released file's ("upstream") and NVIDIA TAO's, which is ours."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ffs_ros.errors import CheckpointError

_FIRST_TENSOR = {"upstream": "feature.stem.0.weight", "TAO": "feature.downsample_layers.0.0.weight"}
_PREFIXES = ("", "model.", "module.", "model.module.")
"""What training frameworks put before every name: Lightning ``model.``, distributed training ``module.``."""

_RENAMED_PREFIXES = (
    (re.compile(r"^cost_agg\.atts\.4\."), "cost_agg.atts.cost_vol_disp."),
    (re.compile(r"^(corr_feature_att|classifier)\.layers\."), r"\1."),
    (re.compile(r"^feature\.stem\."), "feature.downsample_layers.0."),
    (re.compile(r"^feature\.stages\.([123])\.downsample\."), r"feature.downsample_layers.\1."),
    (re.compile(r"^feature\.stages\.(\d)\.blocks\."), r"feature.stages.\1."),
)
_RENAMED_BACKBONE_PARTS = ((".conv_dw.", ".dwconv."), (".mlp.fc1.", ".pwconv1."), (".mlp.fc2.", ".pwconv2."))


def tao_name(upstream_name: str) -> str:
    """The TAO name of a tensor of the released file: ``classifier.layers.0.bias`` -> ``classifier.0.bias``."""
    name = upstream_name
    for pattern, replacement in _RENAMED_PREFIXES:
        name, found = pattern.subn(replacement, name)
        if found:
            break
    if name.startswith("feature."):
        for part, replacement in _RENAMED_BACKBONE_PARTS:
            name = name.replace(part, replacement)
    return name.replace(".bn.", ".norm.")


def naming_of(names: Iterable[str]) -> tuple[str, str] | None:
    """(naming, prefix) of a file with these tensor names; None when it is not a file of this network's family."""
    present = set(names)
    for prefix in _PREFIXES:
        for naming, first in _FIRST_TENSOR.items():
            if prefix + first in present:
                return naming, prefix
    return None


def tao_names(names: Iterable[str], naming: str, prefix: str) -> dict[str, str]:
    """TAO name -> name in the file, of names that all have the prefix.

    Raises CheckpointError when two names of the file mean the same tensor.
    """
    renamed: dict[str, str] = {}
    for name in names:
        bare = name.removeprefix(prefix)
        ours = tao_name(bare) if naming == "upstream" else bare
        if ours in renamed:
            raise CheckpointError(
                f"both '{renamed[ours]}' and '{name}' would be the tensor '{ours}'; expected one name per tensor; "
                f"write the file again from the model it came from"
            )
        renamed[ours] = name
    return renamed
