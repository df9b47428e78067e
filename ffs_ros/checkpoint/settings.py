"""The settings that a checkpoint carries (arguments, hyper-parameters), as plain data for people to read."""

from __future__ import annotations

from typing import Any

from ffs_ros.checkpoint.records import Global, Inert, StoredTensor, shown

_MOST_VALUES = 2_000
_DEEPEST = 8
_LEFT_OUT = "..."


def plain(value: Any) -> Any:
    """Nested dicts and lists of str, int, float, bool and None; what is neither is described in words.

    OmegaConf's containers become the dicts and lists that they stand for. Beyond 8 levels or 2,000 values: ``...``.
    """
    return _Plain().of(value, 0)


class _Plain:
    def __init__(self) -> None:
        self.left = _MOST_VALUES

    def of(self, value: Any, depth: int) -> Any:
        self.left -= 1
        if self.left < 0 or depth > _DEEPEST:
            return _LEFT_OUT
        if value is None or type(value) in (bool, float):
            return value
        if type(value) is int:
            return value if abs(value) < 2**63 else _LEFT_OUT
        if type(value) is str:
            return shown(value, 400)
        if type(value) is dict:
            return {self._key(key): self.of(entry, depth + 1) for key, entry in self._some(value.items())}
        if type(value) in (list, tuple):
            return [self.of(item, depth + 1) for item in self._some(value)]
        if type(value) is Inert:
            return self._object(value, depth)
        if type(value) is Global:
            return shown(value.path)
        if type(value) is StoredTensor:
            return f"tensor {value.dtype} {'x'.join(map(str, value.shape))}"
        return f"{len(value)} bytes" if type(value) in (bytes, bytearray) else _LEFT_OUT

    def _some(self, values: Any) -> Any:
        """As many of the values as may still be shown."""
        return [value for value, _ in zip(values, range(max(self.left, 0)), strict=False)]

    def _key(self, key: Any) -> str:
        return shown(key if type(key) is str else str(self.of(key, _DEEPEST)))

    def _object(self, thing: Inert, depth: int) -> Any:
        if thing.kind is not None and type(thing.kind) is Global and thing.kind.module.startswith("omegaconf."):
            for part in ("_content", "_val"):
                if part in thing.state:
                    return self.of(thing.state[part], depth)
        for content in (thing.entries, thing.state, thing.slots, thing.items):
            if content:
                return self.of(content, depth)
        name = shown(thing.kind.path) if type(thing.kind) is Global else "object"
        arguments = self.of(thing.arguments, depth + 1)
        return f"{name}({', '.join(map(str, arguments)) if type(arguments) is list else _LEFT_OUT})"
