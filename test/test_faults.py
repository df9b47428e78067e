"""docs/faults.md says what the code says, and each of its rows is provoked by a test over the ROS graph."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
FEWEST = 20


class Row(NamedTuple):
    """A fault of the table."""

    fault: str
    says: str
    does: str
    test: str


def rows() -> list[Row]:
    """Every row of every table."""
    lines = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [Row(*row) for row in cells if row[0] not in ("fault", "---")]


def graph_tests() -> dict[str, str]:
    """Name and source of each test of test/ros that starts a node and plays a camera, or runs its process."""
    found = {}
    for path in (ROOT / "test" / "ros").rglob("test_*.py"):
        source = path.read_text(encoding="utf-8")
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                arguments = {argument.arg for argument in node.args.args}
                if arguments & {"graph", "start_node", "camera", "start"}:
                    found[node.name] = source
    return found


def code() -> str:
    """The package's text, sentences in one piece and numbers as in the table's examples."""
    text = " ".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "ffs_ros").rglob("*.py")))
    return re.sub(r'"\s*f?"', "", text)  # sentences are written in several pieces


CODE, TESTS = code(), graph_tests()


def test_there_are_enough_and_no_fault_comes_twice() -> None:
    """What the node has to survive at least, and a name for each."""
    faults = [row.fault for row in rows()]
    assert len(faults) >= FEWEST
    assert len(set(faults)) == len(faults)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.fault)
def test_each_row_is_what_the_code_says_and_has_its_test(row: Row) -> None:
    """What is quoted is a text of the package; an example has the numbers where the code puts them in."""
    for quoted in re.findall(r"`([^`]+)`", row.says):
        if quoted == "/diagnostics" or quoted.startswith("over: "):  # the doctor's findings by name
            continue
        pattern = re.sub(r"\d+x\d+", lambda _: r"\{\w+\}x\{\w+\}", re.escape(quoted))
        assert re.search(pattern, CODE), quoted
    (test,) = re.findall(r"`(test_\w+)`", row.test)
    assert test in TESTS


def test_a_row_that_says_something_else_is_found() -> None:
    """The rule above is not empty."""
    with pytest.raises(AssertionError):
        test_each_row_is_what_the_code_says_and_has_its_test(
            Row("none", "`the engine is very sorry`", "nothing", "`test_the_fallback_takes_over`")
        )
    with pytest.raises(AssertionError):
        test_each_row_is_what_the_code_says_and_has_its_test(Row("none", "nothing", "nothing", "`test_that_is_not`"))
