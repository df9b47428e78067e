"""Which Python names a checkpoint may mention. None of them is ever imported: the lists only tell an honest file of
this network from one of another origin, and that from one that was made to harm.
"""

from __future__ import annotations

import re

_NETWORK_ROOTS = ("core", "foundation_stereo_ori", "Utils", "depth_anything", "dinov2", "dpt")
_LIBRARY_ROOTS = ("timm.layers", "timm.models", "torch.nn.modules", "omegaconf")
_CLASS_NAME = re.compile(r"[A-Z][A-Za-z0-9_]*|hourglass")
"""No dots (a dotted name reaches into a class or a module) and, but for one class, no functions."""

STORAGES = {
    ("torch", "DoubleStorage"): "float64", ("torch", "FloatStorage"): "float32", ("torch", "HalfStorage"): "float16",
    ("torch", "BFloat16Storage"): "bfloat16", ("torch", "LongStorage"): "int64", ("torch", "IntStorage"): "int32",
    ("torch", "ShortStorage"): "int16", ("torch", "CharStorage"): "int8", ("torch", "ByteStorage"): "uint8",
    ("torch", "BoolStorage"): "bool", ("torch", "ComplexFloatStorage"): "complex64",
    ("torch", "ComplexDoubleStorage"): "complex128", ("torch.storage", "UntypedStorage"): "uint8",
}  # fmt: skip
"""(module, class) of a storage -> dtype of its elements."""

_MACHINERY = {
    *STORAGES, ("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_parameter"), ("torch", "device"),
    *(("torch", name) for name in ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int8", "uint8")),
    ("collections", "OrderedDict"), ("collections", "defaultdict"), ("typing", "Any"),
    *((module, name) for module in ("builtins", "__builtin__") for name in (
        "set", "frozenset", "dict", "list", "tuple", "int", "long", "float", "bool", "str", "object",
    )),
}  # fmt: skip

_HARMFUL_MODULES = {
    "os", "posix", "nt", "subprocess", "sys", "shutil", "socket", "runpy", "importlib", "imp", "ctypes", "_ctypes",
    "pty", "commands", "webbrowser", "code", "codeop", "pickle", "_pickle", "marshal", "multiprocessing", "pip",
    "ensurepip", "asyncio", "pdb", "bdb", "timeit", "profile", "cProfile", "trace",
}  # fmt: skip
_HARMFUL_BUILTINS = {
    "eval", "exec", "execfile", "compile", "__import__", "open", "file", "input", "raw_input", "breakpoint", "globals",
    "locals", "vars", "setattr", "delattr", "apply", "exit", "quit", "reload", "help", "memoryview",
}  # fmt: skip


def is_harmful(module: str, name: str) -> bool:
    """Whether no training would ever write this name: opened with torch.load, it could run a program."""
    first = module.partition(".")[0]
    if first in _HARMFUL_MODULES:
        return True
    parts = name.split(".")
    if first in ("builtins", "__builtin__") and parts[0] in _HARMFUL_BUILTINS:
        return True
    # A dotted name walks through attributes: through a module that the first one imported, or out of a class.
    return len(parts) > 1 and any(
        part in _HARMFUL_MODULES or part in _HARMFUL_BUILTINS or part.startswith("__") for part in parts
    )


def is_network_class(module: str, name: str) -> bool:
    """Whether this may be a class of the pickled network: inert here, whatever it is elsewhere."""
    return (
        module.partition(".")[0] in _NETWORK_ROOTS
        or any(module == root or module.startswith(root + ".") for root in _LIBRARY_ROOTS)
    ) and _CLASS_NAME.fullmatch(name) is not None


def is_permitted(module: str, name: str) -> bool:
    """Whether a checkpoint of this network may mention the name."""
    return (module, name) in _MACHINERY or is_network_class(module, name)


def may_be_called(module: str, name: str) -> bool:
    """Whether a checkpoint of this network may call the name although nothing is made of it."""
    return (module, name) == ("torch", "device")
