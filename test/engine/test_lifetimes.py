"""Tensors share memory only where one is done with before the other is made."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ffs_ros.engine.kernel_calls import Call
from ffs_ros.engine.lifetimes import sharing
from ffs_ros.engine.parts import Part
from ffs_ros.engine.trt_turns import Step


def step(reads: str, makes: str, before: str = "", after: str = "", carried: str = "") -> Step:
    """Tensors are letters; a kernel before or behind it is 'reads>makes', and what it carries 'made>read'."""
    calls = [
        [Call("one", list(given.split(">")[0]), given.split(">")[1], [1], 1)] if given else []
        for given in (before, after)
    ]
    plan: Any = SimpleNamespace(inputs=list(reads), outputs=list(makes))
    made, _, read = carried.partition(">")
    return Step(Part("part", 1, 8 if carried else 1, {read: made} if carried else {}, *calls), plan, [], [])


def groups(steps: list[Step], kept: str = "", **nbytes: int) -> set[str]:
    names = {name for one in steps for name in (*one.plan.inputs, *one.outputs)}
    sizes = {name: nbytes.get(name, 1) for name in sorted(names)}
    return {"".join(group) for group in sharing(steps, sizes, kept)}


def test_a_chain_needs_two_places() -> None:
    """What a step reads is not where it writes; what the one before it read is free again."""
    chain = [step("i", "a"), step("a", "b"), step("b", "c"), step("c", "d"), step("d", "o")]
    assert groups(chain, "io") == {"i", "o", "ac", "bd"}


def test_what_is_read_late_lives_long() -> None:
    """Also when a kernel reads it."""
    assert groups([step("i", "a"), step("a", "b"), step("b", "c"), step("ca", "o")], "io") == {"i", "o", "a", "b", "c"}
    late = [step("i", "a"), step("a", "b"), step("b", "c"), step("ck", "o", before="a>k")]
    assert groups(late, "io") == {"i", "o", "a", "bk", "c"}


def test_images_and_answers_lie_alone() -> None:
    """The next images are written before the first step, and the answer is read behind the last."""
    assert groups([step("i", "a"), step("a", "b"), step("b", "o")], "io") == {"i", "o", "a", "b"}
    assert groups([step("i", "a"), step("a", "b"), step("b", "o")]) == {"bi", "ao"}


def test_the_largest_is_the_first() -> None:
    """Its size is what the group takes."""
    chain = [step("i", "a"), step("a", "b"), step("b", "c"), step("c", "o")]
    assert groups(chain, "io", a=3, b=5, c=9) == {"i", "o", "ca", "b"}


@pytest.mark.parametrize(
    ("made", "shared"),
    [(step("k", "b", before="a>k"), {"ab", "c", "k"}), (step("a", "b", after="b>k"), {"ac", "b", "k"})],
)
def test_what_kernels_make_lives_from_then(made: Step, shared: set[str]) -> None:
    """And what they read as long: a plan behind them may write there."""
    assert groups([step("i", "a"), made, step("bk", "c"), step("c", "o")], "io") == {"i", "o", *shared}


def test_steps_in_turns_read_again_what_is_older_than_they() -> None:
    """What the first of them read is not where the last one writes, but free again behind them."""
    turns = [step("ah", "b", carried="n>h"), step("b", "c", carried="n>h"), step("c", "n", carried="n>h")]
    steps = [step("i", "ah"), *turns, step("n", "d"), step("d", "o")]
    assert groups(steps, "io") == {"i", "o", "ad", "b", "c", "h", "n"}


def test_what_steps_carry_lives_through_all_of_them() -> None:
    """It is read in the next turn by a step that comes before the one that makes it; elsewhere b and n could share."""
    turns = [step("h", "b", carried="n>h"), step("b", "c", carried="n>h"), step("c", "n", carried="n>h")]
    assert groups([step("i", "h"), *turns, step("n", "o")], "io") == {"i", "o", "h", "n", "b", "c"}
    alone = [step("h", "b"), step("b", "c"), step("c", "n")]
    assert groups([step("i", "h"), *alone, step("n", "o")], "io") == {"i", "o", "ch", "bn"}
