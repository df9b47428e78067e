"""Reads a pickle as a description. Nothing is imported, called, constructed by class, or given attributes.

A pickle is a program for a small stack machine. This is that machine with every instruction that could reach Python
replaced: a global becomes the record of a name, a call the record of a call. Only the six names in ``machinery`` mean
something: tensors and parameters, ordered and default dictionaries, sets and frozen sets.
So there is no value on the stack whose methods a file could abuse, and nothing to evade.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pickletools import genops
from typing import Any

from ffs_ros.checkpoint import machinery, permitted
from ffs_ros.checkpoint.records import Global, Inert, Storage, shown
from ffs_ros.errors import CheckpointError

MOST_BYTES = 32 * 2**20
MOST_INSTRUCTIONS = 2_000_000
"""The released file needs 0.2 MiB and 90,000, a training checkpoint with its optimizer about three times as much."""

_PLAIN = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "UNICODE", "SHORT_BINUNICODE",
    "BINUNICODE", "BINUNICODE8",
}  # fmt: skip
"""Instructions whose operand is the value."""
_FRESH: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False, "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list, "EMPTY_SET": list, "EMPTY_DICT": dict,
}  # fmt: skip


class HarmfulPickle(CheckpointError):
    """A pickle asks for something that no honest one does. Nothing of it was run."""


class Unpickler:
    """One pickle, read from ``stream`` by ``load``.

    ``storages`` holds every storage that it mentions, by key, not yet known to be in the file. ``offence`` is the
    first thing in it that a checkpoint of this network would not contain, as half a sentence; harmless where a
    training framework keeps its own data beside the tensors.
    """

    def __init__(self, stream: io.BytesIO) -> None:
        self.stream = stream
        self.storages: dict[str, Storage] = {}
        self.offence: str | None = None
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        """The stacks under the open marks."""
        self._memo: dict[int, Any] = {}

    def load(self) -> Any:
        """The pickle as dicts, lists, tuples, strings, numbers and records. Sets come back as lists.

        Raises HarmfulPickle when it asks for something that no honest one does, CheckpointError when it is damaged.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # genops warns of odd escapes in texts
                return self._run()
        except (IndexError, KeyError, ValueError, OverflowError) as error:
            raise CheckpointError(
                f"its pickle is damaged ({shown(str(error)) or type(error).__name__}); download or write the file again"
            ) from None

    def _run(self) -> Any:
        start = self.stream.tell()
        for count, (opcode, argument, position) in enumerate(genops(self.stream)):
            if count > MOST_INSTRUCTIONS or (position or 0) - start > MOST_BYTES:
                raise CheckpointError(
                    "its pickle is far longer than any checkpoint's; it is damaged or was made to harm"
                )
            if opcode.name == "STOP":
                return self._stack.pop()
            self._step(opcode.name, argument)
        raise AssertionError("genops ends with STOP or an error")

    def _step(self, name: str, argument: Any) -> None:
        if name in _PLAIN:
            self._stack.append(argument)
        elif name in _FRESH:
            self._stack.append(_FRESH[name]())
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self._memo[argument] = self._stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self._stack.append(self._memo[argument])
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = self._stack[-1]
        elif name not in ("PROTO", "FRAME"):
            method = getattr(self, f"_do_{name.lower()}", None)
            if method is None:  # EXT1, EXT2, EXT4, PERSID, NEXT_BUFFER, READONLY_BUFFER
                raise CheckpointError(
                    f"its pickle uses the instruction {name}, which no checkpoint needs; nothing was run; "
                    f"do not open this file with other tools"
                )
            method(*(() if argument is None else (argument,)))

    # Stack and containers

    def _do_mark(self) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list[Any]:
        items = self._stack
        self._stack = self._below.pop()
        return items

    def _do_pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._since_mark()

    def _do_pop_mark(self) -> None:
        self._since_mark()

    def _do_dup(self) -> None:
        self._stack.append(self._stack[-1])

    def _do_tuple(self) -> None:
        items = self._since_mark()
        self._stack.append(tuple(items))

    _do_frozenset = _do_tuple

    def _do_tuple1(self) -> None:
        self._stack[-1:] = [(self._stack[-1],)]

    def _do_tuple2(self) -> None:
        self._stack[-2:] = [(self._stack[-2], self._stack[-1])]

    def _do_tuple3(self) -> None:
        self._stack[-3:] = [(self._stack[-3], self._stack[-2], self._stack[-1])]

    def _do_list(self) -> None:
        items = self._since_mark()
        self._stack.append(items)

    def _do_dict(self) -> None:
        items = self._since_mark()
        self._stack.append({})
        self._set_entries(items)

    def _do_append(self) -> None:
        self._extend([self._stack.pop()])

    def _do_appends(self) -> None:
        self._extend(self._since_mark())

    _do_additems = _do_appends

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is Inert:
            target.items.extend(items)
        elif type(target) is list:
            target.extend(items)
        else:
            raise ValueError("items are appended to something that is no list")

    def _do_setitem(self) -> None:
        value = self._stack.pop()
        self._set_entries([self._stack.pop(), value])

    def _do_setitems(self) -> None:
        self._set_entries(self._since_mark())

    def _set_entries(self, items: list[Any]) -> None:
        target = self._stack[-1]
        entries = target.entries if type(target) is Inert else target
        if type(entries) is not dict or len(items) % 2:
            raise ValueError("entries are set on something that is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            entries[machinery.cheap_key(key)] = value

    # Names, calls and state

    def _do_global(self, module_and_name: str) -> None:
        module, _, name = module_and_name.partition(" ")
        self._stack.append(self._global(module, name))

    def _do_stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if type(name) is not str or type(module) is not str:
            raise HarmfulPickle(
                "its pickle computes the name of a Python object instead of writing it, which no checkpoint does; "
                "nothing was run; do not open this file with other tools"
            )
        self._stack.append(self._global(module, name))

    def _global(self, module: str, name: str) -> Global:
        found = Global(module, name)
        if permitted.is_harmful(module, name):
            raise HarmfulPickle(
                f"its pickle asks for {shown(found.path)}, which runs programs or reaches into Python when other tools "
                f"open the file; nothing was run here; delete the file, or ask for one in .safetensors"
            )
        if not permitted.is_permitted(module, name):
            self._offend(f"names {shown(found.path)}")
        return found

    def _offend(self, what: str) -> None:
        self.offence = self.offence or what

    def _do_reduce(self) -> None:
        arguments = self._stack.pop()
        self._stack.append(self._call(self._stack.pop(), arguments))

    def _do_inst(self, module_and_name: str) -> None:
        module, _, name = module_and_name.partition(" ")
        arguments = tuple(self._since_mark())
        self._stack.append(self._call(self._global(module, name), arguments))

    def _do_obj(self) -> None:
        kind, *arguments = self._since_mark()
        self._stack.append(self._call(kind, tuple(arguments)))

    def _do_newobj(self) -> None:
        arguments = self._stack.pop()
        self._stack.append(self._instance(self._stack.pop(), arguments))

    def _do_newobj_ex(self) -> None:
        keywords, arguments = self._stack.pop(), self._stack.pop()
        self._stack.append(self._instance(self._stack.pop(), (arguments, keywords)))

    def _instance(self, kind: Any, arguments: Any) -> Inert:
        if type(kind) is not Global:
            self._offend("makes an object of something that is no class")
        return Inert(kind, arguments)

    def _call(self, function: Any, arguments: Any) -> Any:
        """What the call would have returned where it is one of the six that are understood, else its record."""
        if type(arguments) is not tuple:
            raise ValueError("a call has no tuple of arguments")
        if type(function) is not Global:
            self._offend("calls something that the pickle itself has made")
            return Inert(function, arguments)
        understood = machinery.CALLS.get((function.module, function.name))
        if understood is not None:
            return understood(arguments)
        if not permitted.may_be_called(function.module, function.name):
            self._offend(f"calls {shown(function.path)}")
        return Inert(function, arguments)

    def _do_build(self) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        if type(target) is Global:
            raise HarmfulPickle(
                f"its pickle changes the class {shown(target.path)} itself, which no checkpoint does; nothing was run; "
                f"do not open this file with other tools"
            )
        if type(target) is dict:
            return  # attributes of an OrderedDict, such as the versions that PyTorch keeps with a state dict
        if type(target) is not Inert:
            raise ValueError("state is given to something that has none")
        if target.state or target.slots:
            raise ValueError("state is given twice to one object")
        state, slots = state if type(state) is tuple and len(state) == 2 else (state, None)
        target.state = state if type(state) is dict else {} if state is None else {"state": state}
        target.slots = slots if type(slots) is dict else {}

    def _do_binpersid(self) -> None:
        described = machinery.described(self._stack.pop())
        if isinstance(described, Storage):
            described = self.storages.setdefault(described.key, described).same_as(described)
        self._stack.append(described)
