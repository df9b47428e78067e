"""Where the weights lie in what a file holds: a whole network object, a training checkpoint, or a bare state dict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ffs_ros.checkpoint.records import Global, Inert, StoredTensor, shown
from ffs_ros.checkpoint.settings import plain
from ffs_ros.checkpoint.whole_module import (
    check_architecture,
    check_normalisation,
    is_module,
    module_settings,
    module_tensors,
)
from ffs_ros.errors import CheckpointError

_BYTES = (("_codecs", "encode"), ("_io", "BytesIO"))
"""How bytes look in a pickle of torch.save."""
_WRAPPERS = ("state_dict", "model_state_dict", "model")


@dataclass(frozen=True)
class Network:
    """Tensors by the names they have in the file, and what stands beside them."""

    layout: str
    tensors: dict[str, StoredTensor]
    settings: dict[str, Any]
    module: Inert | None = None

    def check_architecture(self) -> None:
        """Raises CheckpointError when the file says that it computes something else than the bp2 network."""
        if self.module is not None:
            check_architecture(self.module)
        # TAO keeps its experiment's settings, and in them the model's, as hyper-parameters.
        hyper = _dict(self.settings.get("hyper_parameters"))
        for place in (hyper, _dict(hyper.get("model"))):
            check_normalisation("gwc_feature_normalize", place.get("gwc_feature_normalize"))


def is_lightning(payload: Any) -> bool:
    """Whether a training framework wrote the payload, which keeps data of its own beside the tensors."""
    return type(payload) is dict and (
        "pytorch-lightning_version" in payload or ("epoch" in payload and "global_step" in payload)
    )


def refuse_encrypted(payload: Any) -> None:
    """Raises CheckpointError when TAO has encrypted the weights."""
    if type(payload) is not dict:
        return
    weights = payload.get("state_dict")
    kind = weights.kind if type(weights) is Inert else None
    are_bytes = type(weights) in (str, bytes) or (type(kind) is Global and (kind.module, kind.name) in _BYTES)
    if payload.get("state_dict_encrypted") or are_bytes:
        raise CheckpointError(
            "is an encrypted TAO checkpoint; write it again with the training's encryption_key left empty, or decrypt "
            "it with TAO and its key"
        )


def find_network(payload: Any) -> Network | None:
    """The network in a file's payload; None where there is none.

    Raises CheckpointError when something among the tensors is no tensor.
    """
    if is_module(payload):
        return Network("whole module", _tensors(module_tensors(payload)), module_settings(payload), payload)
    if type(payload) is not dict:
        return None
    wrapper = next((key for key in _WRAPPERS if is_module(payload.get(key)) or type(payload.get(key)) is dict), None)
    if wrapper is None:
        return Network("state dict", _tensors(payload), {}) if payload else None
    settings = {
        shown(key): plain(value)
        for key, value in payload.items()
        if type(key) is str and (key == "hyper_parameters" or type(value) in (str, int, float, bool))
    }
    held = payload[wrapper]
    if is_module(held):
        layout, module, tensors = "whole module", held, module_tensors(held)
        settings = {**module_settings(held), **settings}
    else:
        layout, module, tensors = "Lightning" if is_lightning(payload) else "state dict", None, held
    return Network(f"{layout}, in its entry '{wrapper}'", _tensors(tensors), settings, module)


def _tensors(entries: dict[Any, Any]) -> dict[str, StoredTensor]:
    for name, value in entries.items():
        if type(name) is not str or type(value) is not StoredTensor:
            raise CheckpointError(
                f"its entry '{shown(str(plain(name)))}' is no named tensor; expected a state dict of tensors alone, "
                f"or one under 'state_dict', 'model_state_dict' or 'model'"
            )
    return entries


def _dict(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}
