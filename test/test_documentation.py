"""What the documents say is what the code does."""

from __future__ import annotations

import argparse
import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

from ffs_ros.cli import VERBS
from ffs_ros.config import parameter_facts
from ffs_ros.floor import floor, peak_of
from ffs_ros.spec.command import add_spec_option

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


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_in_the_documents(verb: str) -> None:
    """Each long one of each verb, somewhere in the README or below docs/."""
    parser = argparse.ArgumentParser(add_help=False)
    tool = import_module(VERBS[verb].module)
    tool.add_arguments(parser)
    if hasattr(tool, "ACTION"):
        add_spec_option(parser)
    options = {name for action in parser._actions for name in action.option_strings if name.startswith("--")}
    text = "\n".join([README, *(page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md"))])
    assert options - {*re.findall(r"(?<![\w-])--[a-z][\w-]*", text)} == set()


def test_readme_links_lead_somewhere() -> None:
    """Every relative link and picture of the README is a file of the checkout."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_links_of_the_documents_lead_somewhere() -> None:
    """Every relative link in docs/ is a file, and a heading of it where one is named."""

    def anchors(path: Path) -> set[str]:
        headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    wrong = []
    for page in (ROOT / "docs").rglob("*.md"):
        for file, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
            target = page.parent / file if file else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                wrong.append(f"{page.name}: {file}#{anchor}")
    assert wrong == []


def test_install_md_has_every_extra() -> None:
    """A row for each of setup.py's extras, and ``full`` names its parts in their order."""
    names = {"EXTRAS", "RUNS_WITHOUT_A_GPU"}
    stated = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in names
    }
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", page.split("## Extras")[1], re.MULTILINE))
    assert set(rows) == {*stated["EXTRAS"], "full"}
    assert tuple(re.findall(r"`(\w+)`", rows["full"])) == stated["RUNS_WITHOUT_A_GPU"]


def test_what_jetson_md_reckons_is_what_floor_py_does() -> None:
    """The floors and the latencies in its tables, for the fractions in the latencies' heading."""
    page = (ROOT / "docs" / "jetson.md").read_text(encoding="utf-8")
    peaks = {"H200": peak_of("NVIDIA H200", 132), "Orin": peak_of("Orin", 16), "Thor": peak_of("NVIDIA Thor", 20)}
    rows = re.findall(r"^\| (\d+)x(\d+), (\d) iterations \| (.*[\d)]) \|$", page, re.MULTILINE)
    columns = re.findall(r"(Orin|Thor), (0\.\d+)", page)
    assert len(rows) == 12
    for index, (height, width, iterations, cells) in enumerate(rows):
        size = int(height), int(width)
        floors = {gpu: floor(size, int(iterations), peak) for gpu, peak in peaks.items()}
        if index < 6:
            expected = [bound for found in floors.values() for bound in found]
        else:
            expected = [floors[gpu].ms / float(fraction) for gpu, fraction in columns]
        found = re.findall(r"[\d.]+", cells)
        decimals = [len(number.partition(".")[2]) for number in found]
        assert found == [f"{ms:.{places}f}" for ms, places in zip(expected, decimals, strict=True)]


def test_readme_quotes_what_the_node_says() -> None:
    """Every "it says" of the troubleshooting table is a text in the code."""
    rows = README.split("## Troubleshooting")[1].split("## For developers")[0].splitlines()
    quoted = [row.split("|")[1].strip() for row in rows if row.startswith("|")][2:]
    code = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "ffs_ros").rglob("*.py"))
    joined = re.sub(r'"\s*f?"', "", code)  # sentences are written in several pieces
    assert [text for text in quoted if not text.startswith("nothing") and text not in joined] == ["depth comes slowly"]


def test_doctor_md_lists_every_finding() -> None:
    """Name and level of each ``Finding`` in the doctor's code, and what it says."""
    page = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if re.match(r"\| [a-zC]\w+ \w+[^|]* \| (ERROR|WARN)", line)]
    listed = {row[0].removeprefix("| "): set(row[1].split(", ")) for row in rows}
    found: dict[str, set[str]] = {}
    sources = [*(ROOT / "ffs_ros" / "ros" / "doctor").glob("*.py"), ROOT / "ffs_ros" / "unpaired_reason.py"]
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for name, level in _findings_in(node):
                found.setdefault(name, set()).update(level)
    assert found == listed
    code = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "ffs_ros").rglob("*.py"))
    joined = re.sub(r'"\s*f?"', "", code)
    assert [row[2] for row in rows if row[2] not in joined] == []


def _findings_in(node: ast.AST) -> list[tuple[str, set[str]]]:
    """Names and levels in a call of ``Finding``, or in a tuple of what one is made of."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
        name, level = node.args[:2]
    elif isinstance(node, ast.Tuple) and len(node.elts) == 3 and "Level." in ast.unparse(node.elts[1]):
        name, level = node.elts[:2]
    elif isinstance(node, ast.FunctionDef) and node.name == "unpaired_reason":  # returns name and sentence
        pairs = [part.value.elts[0] for part in ast.walk(node) if isinstance(part, ast.Return)]
        name, level = ast.Tuple(pairs), ast.Name("level")
    else:
        return []
    names = [part.value for part in ast.walk(name) if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    levels = {"ERROR", "WARN"}.intersection(re.findall(r"Level\.(\w+)", ast.unparse(level)))
    return [(name, levels or {"ERROR", "WARN"}) for name in names]
