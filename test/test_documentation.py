"""What the documents say is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from ffs_ros.cli import VERBS
from ffs_ros.config import parameter_facts

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_lists_every_parameter_as_it_is_declared() -> None:
    """The table's rows are the declarations: name, live or not, type, default, description."""
    expected = []
    for name, (kind, default, facts) in parameter_facts().items():
        value = str(default).lower() if kind is bool else str(default)
        live = "" if facts.read_only else " *"
        expected.append(f"| `{name}`{live} | {kind.__name__} | {value} | {facts.description} |")
    table = README.split("#### Parameters")[1].split("## Troubleshooting")[0]
    assert [line for line in table.splitlines() if line.startswith("| `")] == expected


def test_readme_commands_name_verbs_and_make_targets_that_exist() -> None:
    """No command in a shell block of the README names a verb or a make target that is not there."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    commands = [line.split("#")[0] for block in blocks for line in block.splitlines()]
    verbs = {line.split()[1] for line in commands if line.startswith("ffs ")}
    targets = {line.split()[1] for line in commands if line.startswith("make ")}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert verbs
    assert verbs <= set(VERBS)
    assert targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_readme_links_lead_somewhere() -> None:
    """Every relative link and picture of the README is a file of the checkout."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_readme_quotes_what_the_node_says() -> None:
    """Every "it says" of the troubleshooting table is a text in the code."""
    rows = README.split("## Troubleshooting")[1].split("## For developers")[0].splitlines()
    quoted = [row.split("|")[1].strip() for row in rows if row.startswith("|")][2:]
    code = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "ffs_ros").rglob("*.py"))
    joined = re.sub(r'"\s*f?"', "", code)  # sentences are written in several pieces
    assert [text for text in quoted if not text.startswith("nothing") and text not in joined] == ["depth comes slowly"]
