"""What ``ffs spec`` writes is a spec: it says every key, and says what the declarations say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest

yaml = pytest.importorskip("yaml")

from ffs_ros import cli  # noqa: E402
from ffs_ros.spec.experiment import Experiment  # noqa: E402
from ffs_ros.spec.export import ExportSpec  # noqa: E402
from ffs_ros.spec.keys import facts_of  # noqa: E402
from ffs_ros.spec.template import SPECS, examples, template  # noqa: E402

KINDS = pytest.mark.parametrize("kind", SPECS.values(), ids=SPECS)


def keys(kind: type, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every key below ``kind`` with its facts."""
    for field in fields(kind):
        hint = get_type_hints(kind)[field.name]
        if is_dataclass(hint):
            yield from keys(hint, f"{path}{field.name}.")
        else:
            yield f"{path}{field.name}", facts_of(field)


def value_at(values: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        values = values[name]
    return values


@KINDS
def test_a_template_is_its_actions_spec(kind: type[Experiment]) -> None:
    """It parses, and reads as the examples alone do: everything else stands at its default."""
    assert kind.of(yaml.safe_load(template(kind.ACTION))) == kind.of(examples(kind.ACTION))


@KINDS
def test_the_template_of_all_actions_is_each_actions_spec(kind: type[Experiment]) -> None:
    """As TAO's users have one file for all."""
    assert kind.of(yaml.safe_load(template())) == kind.of(examples())


@KINDS
def test_what_is_commented_out_can_be_put_in(kind: type[Experiment]) -> None:
    """Every key stands there, and with all of them in force the spec is the same; TAO's own are in force but those
    without a default."""
    text = template(kind.ACTION)
    whole = yaml.safe_load(re.sub(r"^( *)# (\w+:)", r"\1\2", text, flags=re.MULTILINE))
    assert kind.of(whole) == kind.of(examples(kind.ACTION))
    in_force = yaml.safe_load(text)
    for dotted, facts in keys(kind):
        block = dotted.partition(".")[0]
        if block in SPECS and block != kind.ACTION:
            continue
        value = value_at(whole, dotted)
        if facts.ours or value is None:
            with pytest.raises((KeyError, TypeError)):
                value_at(in_force, dotted)
        else:
            assert value_at(in_force, dotted) == value


def test_comments_say_meaning_limits_and_other_defaults() -> None:
    """Without the documents' links and marks."""
    text = template("export")
    assert "\n  input_height: 480  # rows, a multiple of 32 (default 544)\n" in text
    assert (
        "\n  valid_iters: 8  # iterations; left out it is model.valid_iters, in TAO 22 (at least 1, at most 64)\n"
        in text
    )
    assert "\n  # results_dir: null  # instead of results_dir/export\n" in text
    assert "\n  # augmentation:\n" not in template("train")
    assert "\n    # augmentation:\n      # crop_size: null" in template("evaluate")
    assert not re.search(r"`|\]\(", template())


def run(*words: str) -> int:
    """The exit code of ``ffs WORDS``."""
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    return int(ended.value.code or 0)


@pytest.mark.parametrize("action", ["export", "gen_trt_engine", "build-engine", None])
def test_ffs_spec(tmp_path: Path, capsys, action: str | None) -> None:
    """Into a file or onto the screen, by TAO's name or by ours; a file that is there stays."""
    words, path = ["spec", *([action] if action else [])], tmp_path / "spec.yaml"
    expected = template("gen_trt_engine" if action == "build-engine" else action)
    assert run(*words, "-o", str(path)) == 0
    assert path.read_text(encoding="utf-8") == expected
    capsys.readouterr()
    assert run(*words) == 0
    assert capsys.readouterr().out == expected
    path.write_text("mine", encoding="utf-8")
    assert run(*words, "-o", str(path)) == 2
    assert "is there already; name another file, or remove it" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == "mine"


def test_a_template_can_be_run(tmp_path: Path) -> None:
    """From the file that ``ffs spec`` wrote to the words of the verb."""
    path = tmp_path / "export.yaml"
    assert run("spec", "export", "-o", str(path)) == 0
    command = ExportSpec.read(path).command()
    words = "model_best_bp2_serialize.pth -o model.onnx --io tensor --iters 8 --batch 1 --size 480x736"
    assert (command.words, command.notes) == (words.split(), [])
