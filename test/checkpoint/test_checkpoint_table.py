"""The table of tensors and the two namings, against the reference list of 722 tensors."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from ffs_ros.checkpoint.naming import naming_of, tao_name, tao_names
from ffs_ros.checkpoint.table import is_dead, is_parameter, live_shapes
from ffs_ros.errors import CheckpointError


@pytest.fixture(scope="module")
def entries(shared: Path) -> list[dict[str, Any]]:
    return json.loads((shared / "conformance" / "manifest.json").read_text())["tensors"]


def test_live_table_equals_the_reference_list(entries: list[dict[str, Any]]) -> None:
    """Every float tensor of the reference is live with exactly its shape, or dead; nothing else is in the table."""
    reference = {entry["name"]: tuple(entry["shape"]) for entry in entries}
    live = {name: shape for name, shape in reference.items() if not is_dead(name)}
    assert dict(live_shapes()) == live
    dead_floats = [entry for entry in entries if is_dead(entry["name"]) and entry["dtype"] == "float32"]
    assert (len(live), len(dead_floats)) == (490, 178)


def test_live_parameters_without_the_reference_list() -> None:
    """The table holds 490 tensors with 14,600,541 trained numbers, 5,278,776 of them in the backbone's stages."""
    counts = {name: math.prod(shape) for name, shape in live_shapes().items() if is_parameter(name)}
    assert len(live_shapes()) == 490
    assert sum(counts.values()) == 14_600_541
    # stages in timm's sense include the three downsamplings
    backbone = ("feature.stages.", *(f"feature.downsample_layers.{stage}." for stage in (1, 2, 3)))
    assert sum(count for name, count in counts.items() if name.startswith(backbone)) == 5_278_776
    assert not any(is_dead(name) for name in live_shapes())


def test_upstream_names_become_tao_names(entries: list[dict[str, Any]]) -> None:
    """Each of the 722 upstream names is renamed to the TAO name of the same tensor."""
    assert [tao_name(entry["upstream"]) for entry in entries] == [entry["name"] for entry in entries]


@pytest.mark.parametrize(
    ("name", "dead"),
    [
        ("dx", True),
        ("cost_agg.atts.cost_vol_disp.sa.3.norm2.bias", True),
        ("cnet.conv04.0.norm.num_batches_tracked", True),
        ("no.such.norm.num_batches_tracked", False),
        ("cost_agg.conv1_up.conv.weight", False),
        ("cost_agg.conv3.0.conv.weight", False),
    ],
)
def test_dead_names(name: str, dead: bool) -> None:
    """Only the known unread weights, and the counters of known batch norms, may be in a file besides."""
    assert is_dead(name) == dead


@pytest.mark.parametrize("prefix", ["", "model.", "module.", "model.module."])
def test_naming_and_prefix_are_found(prefix: str) -> None:
    """One tensor of the stem tells the naming, and what stands before it is the prefix of all."""
    assert naming_of([f"{prefix}feature.stem.0.weight"]) == ("upstream", prefix)
    assert naming_of(["x", f"{prefix}feature.downsample_layers.0.0.weight"]) == ("TAO", prefix)


@pytest.mark.parametrize("name", ["ema.feature.stem.0.weight", "feature.stem.0.bias", "conv1.weight"])
def test_no_naming_without_the_stem(name: str) -> None:
    """A file without the stem's weight, or with it under a strange prefix, has no naming."""
    assert naming_of([name]) is None


def test_two_names_for_one_tensor_are_refused() -> None:
    """A file in which two names become the same TAO name is refused with both names."""
    names = ["classifier.layers.0.bias", "classifier.0.bias"]
    with pytest.raises(CheckpointError, match=r"'classifier\.layers\.0\.bias' and 'classifier\.0\.bias'"):
        tao_names(names, "upstream", "")
