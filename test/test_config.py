"""The node's parameters: declared once, everywhere else the same.

``python test/test_config.py`` prints what config/stereo.yaml should hold.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import yaml

from ffs_ros.config import NodeConfig, contradiction, parameter_facts

HEADER = """\
# Every parameter of stereo_node at its default. Copy it, keep the lines that you change, and start the node with
#   ros2 launch ffs_ros stereo.launch.py params_file:=my.yaml
# Parameters marked "Live" can also be changed while it runs: ros2 param set /stereo_node depth_encoding 16UC1
/**:
  ros__parameters:
"""


def stereo_yaml() -> str:
    """The file that the declarations ask for."""
    lines = []
    for name, (_, default, facts) in parameter_facts().items():
        notes = [facts.description]
        if facts.minimum is not None:
            notes.append(f"From {facts.minimum:g} to {facts.maximum:g} {facts.unit}".rstrip() + ".")
        if not facts.read_only:
            notes.append("Live.")
        lines += ["", *textwrap.wrap(" ".join(notes), 116, initial_indent="    # ", subsequent_indent="    # ")]
        value = str(default).lower() if isinstance(default, bool) else default if default != "" else "''"
        lines.append(f"    {name}: {value}")
    return HEADER + "\n".join(lines[1:]) + "\n"


def test_the_parameter_file_is_what_the_declarations_say(checkout: Path) -> None:
    """config/stereo.yaml holds every parameter with its description, limits and default, in order."""
    assert (checkout / "config" / "stereo.yaml").read_text(encoding="utf-8") == stereo_yaml()


def test_the_parameter_file_reads_back_as_the_defaults(checkout: Path) -> None:
    """A YAML reader gets values and types equal to NodeConfig's defaults from config/stereo.yaml."""
    nodes = yaml.safe_load((checkout / "config" / "stereo.yaml").read_text(encoding="utf-8"))
    values = nodes["/**"]["ros__parameters"]
    assert NodeConfig(**values) == NodeConfig()
    assert {name: type(value) for name, value in values.items()} == {
        name: kind for name, (kind, _, _) in parameter_facts().items()
    }


def test_every_parameter_has_a_description_and_numbers_have_limits() -> None:
    """Defaults lie within the limits or choices; a number has both limits."""
    for name, (kind, default, facts) in parameter_facts().items():
        assert facts.description.endswith("."), name
        if kind in (int, float):
            assert facts.minimum is not None
            assert facts.minimum <= default <= facts.maximum, name
        if facts.choices:
            assert default in facts.choices, name
            assert all(f"'{choice}'" in facts.description for choice in facts.choices), name


def test_a_depth_range_has_room() -> None:
    """min_depth lies below max_depth, of which 0 is no limit; the defaults contradict nothing."""
    assert contradiction(vars(NodeConfig())) is None
    assert contradiction({"min_depth": 3.0}) is None
    assert contradiction({"min_depth": 3.0, "max_depth": 0.0}) is None
    assert contradiction({"min_depth": 3.0, "max_depth": 3.5}) is None
    for farthest_m in (3.0, 0.5):
        sentence = contradiction({"min_depth": 3.0, "max_depth": farthest_m})
        assert sentence is not None
        assert f"min_depth is 3 m and max_depth {farthest_m:g} m: expected min_depth below max_depth" in sentence


if __name__ == "__main__":
    print(stereo_yaml(), end="")
