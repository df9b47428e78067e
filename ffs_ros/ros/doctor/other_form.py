"""Images that are there in another form than the one that the node listens to: packed or not, raw or rectified."""

from __future__ import annotations

from collections.abc import Callable

from ffs_ros.topics import PACKED

_RAW, _RECTIFIED = "image_raw", "image_rect"


def other_form(topic: str, publishers: Callable[[str], int]) -> str | None:
    """What to set so that the node takes what is published instead of ``topic``, with where that is; None for nothing.

    ``publishers`` counts who offers a topic.
    """
    base, packed = topic.removesuffix(PACKED), topic.endswith(PACKED)
    folder, _, last = base.rpartition("/")
    bases = {base: ""}
    if last == _RECTIFIED:
        bases[f"{folder}/{_RAW}"] = "rectify:=true"
    elif last == _RAW:
        bases[f"{folder}/{_RECTIFIED}"] = "rectify:=false"
    for base_name, rectify in bases.items():
        for as_packed in (packed, not packed):
            name = base_name + (PACKED if as_packed else "")
            transport = "" if as_packed == packed else f"image_transport:={'compressed' if as_packed else 'raw'}"
            if publishers(name):
                return f"{name} is published: set {' '.join(filter(None, (rectify, transport)))}"
    return None
