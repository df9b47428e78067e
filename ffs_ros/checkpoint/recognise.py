"""What a file that is not a bp2 checkpoint probably is, and what to do instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from ffs_ros.checkpoint.records import shown
from ffs_ros.checkpoint.table import Shape, is_dead, live_shapes

RELEASED_NAME = "model_best_bp2_serialize.pth"
RELEASED_SHA256 = "7aee85948373da62b0503c2542507129a3e7cab9d97d10e6790d89512a7db214"
RELEASED_BYTES = 71_105_659
WHERE = (
    f"expected {RELEASED_NAME} from the Hugging Face repository nvidia/c-fast-foundationstereo, or a network finetuned "
    f"from it"
)
TOO_LARGE = (
    "the bp2 network has 0.07 and a training checkpoint of it about 0.2; it is probably a full FoundationStereo "
    f"network; {WHERE}"
)

_TIERS = {
    "af0658f289ec840b292645f8d5538978f06e8cabaa1fd31e84acc91af268e990": "23-36-37",
    "d147587849b3482dd2921eef60dc2cd9e12690735612e91ee2782a92f8d1c59e": "20-26-39",
    "98b5a9acf39fbfa795025de8cea95ce123daa40f6b6234d719167751024cf692": "20-30-48",
}
"""SHA-256 -> folder of the research release that holds a network of the same family, under the same file name."""

_OTHERS: dict[str, tuple[bytes, ...]] = {
    "is a picture": (b"\x89PNG", b"\xff\xd8\xff", b"Pf\n", b"PF\n", b"P6\n", b"BM", b"GIF8", b"II*\0", b"MM\0*"),
    "is a NumPy array": (b"\x93NUMPY",),
    "is a recorded bag": (b"#ROSBAG", b"\x89MCAP", b"SQLite format 3"),
}
"""With what such files begin."""
_FULL_NETWORK = ("depth_anything.", "dinov2.", ".dino.", "dino.", ".pretrained.", "gru08.", "gru16.", "gru32.")
_FAMILY = ("update_block.", "cost_agg.", "corr_feature_att.")
_MOST_LISTED = 3


def content(data: bytes, path: Path) -> str:
    """Half a sentence about a file that no container reader takes, from its first bytes."""
    start = data[:512].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return (
            "is a web page: the download was answered by a page to log in or to accept terms; download it in a browser"
        )
    if start.startswith(b"version https://git-lfs"):
        return "is only a Git LFS pointer to the file; fetch it with 'git lfs pull' or download it"
    if path.suffix in (".tlt", ".etlt"):
        return "is an encrypted TAO file; export it from TAO with its key, without encryption, and open that"
    if is_onnx(data, path):
        return "is an ONNX graph, already exported; give it where an ENGINE is asked for, or see it with ffs inspect"
    if data.startswith((b"ftrt", b"ptrt")):
        return "is a TensorRT engine; expected a checkpoint"
    if data.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!")) or data[257:262] == b"ustar":
        return "is an archive; unpack it and open the checkpoint inside"
    for kind, begins in _OTHERS.items():
        if data.startswith(begins):
            return kind
    if not data.strip(b"\0"):
        return "holds nothing but zeros: it is probably half a download; download it again"
    return (
        "is no checkpoint: neither a torch file (zip or older) nor a safetensors file; it is damaged, half a download "
        "or encrypted"
    )


def is_onnx(data: bytes, path: Path) -> bool:
    """Whether the bytes begin like an ONNX model: its IR version, then its producer, a domain or the graph."""
    return (data[:1] == b"\x08" and data[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x2a", b"\x32", b"\x3a", b"\x42")) or (
        path.suffix == ".onnx" and data[:1] == b"\x3a"
    )


def tier(sha256: str) -> str | None:
    """Half a sentence when the file is one of the research release's, by its hash."""
    if sha256 not in _TIERS:
        return None
    return (
        f"is the research tier {_TIERS[sha256]} of Fast-FoundationStereo: the same file name, another network; {WHERE}"
    )


def network(names: Iterable[str]) -> str:
    """Half a sentence about a network whose tensors are not ours, from the names of its tensors."""
    names = list(names)
    if any(part in name for name in names for part in _FULL_NETWORK):
        return "it is probably a full FoundationStereo network, the large one with a vision transformer"
    if any(part in name for name in names for part in _FAMILY):
        return (
            "it is probably a sibling of the Fast-FoundationStereo family (research tiers 23-36-37, 20-26-39 and "
            "20-30-48 have the same file name and other shapes) or another version of it"
        )
    return "it is another network, not a Fast-FoundationStereo"


def mismatches(shapes: Mapping[str, Shape], strangers: list[str]) -> str | None:
    """What keeps tensors (TAO name -> shape, and names without the common prefix) from being the bp2 network's.

    None when every live tensor is there with its shape and nothing is unknown; else half a sentence that lists the
    first ones of each kind.
    """
    live = live_shapes()
    missing = [name for name in live if name not in shapes]
    unlike = [
        f"{name} {list(shapes[name])} instead of {list(live[name])}"
        for name in live
        if name in shapes and shapes[name] != live[name]
    ]
    unknown = strangers + [name for name in shapes if name not in live and not is_dead(name)]
    found = [
        f"{len(names)} {what} ({_listed(names)})"
        for names, what in ((unlike, "of another shape"), (missing, "missing"), (unknown, "unknown"))
        if names
    ]
    return f"its tensors are not the bp2 network's: {'; '.join(found)}" if found else None


def _listed(names: list[str]) -> str:
    return ", ".join(shown(name) for name in names[:_MOST_LISTED]) + (", ..." if len(names) > _MOST_LISTED else "")
