"""ONNX Runtime as an engine: ``*.onnx`` on the CPU, or on an NVIDIA GPU where the runtime can."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ffs_ros.advice import WITHOUT_A_NETWORK
from ffs_ros.engine import EngineInfo, TensorSpec
from ffs_ros.engine.contract import check_feeds, described
from ffs_ros.engine.weights_beside import check_weights
from ffs_ros.errors import EngineError
from ffs_ros.onnx_notes import notes_of
from ffs_ros.weights import SYNTHETIC, SYNTHETIC_NOTE

_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"

_MAX_DISPARITY_KEY = "ffs_ros.max_disparity"
_WEIGHTS_KEY = "ffs_ros.weights"
_ITERATIONS_KEY = "ffs_ros.iterations"
"""In each graph of ``ffs export``, whose network answers every pixel."""
_DEFAULT_MAX_DISPARITY = 192.0
"""The range of every released Fast-FoundationStereo network."""

_SIZE_MULTIPLE = 32
"""The network halves its input five times."""

_DTYPES = {
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(float16)": np.float16,
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
}


class OnnxEngine:
    """Any graph whose tensors are plain arrays; ``StereoMatcher`` checks that they are the ones it needs."""

    def __init__(self, path: str | Path, gpu_index: int | None = 0, threads: int = 0) -> None:
        """Open the graph at ``path``; see ``open_engine`` for the arguments and what is raised."""
        path = Path(path)
        runtime = _imported_runtime()
        notes = notes_of(path)
        check_weights(path, notes)
        session = _opened_session(runtime, path, gpu_index, threads)
        self._session: Any | None = session
        self.inputs: Mapping[str, TensorSpec] = {one.name: _spec(path, one) for one in session.get_inputs()}
        self.outputs: Mapping[str, TensorSpec] = {one.name: _spec(path, one) for one in session.get_outputs()}
        on_gpu = session.get_providers()[0] == _CUDA
        self.info = EngineInfo(
            name=path.name,
            runtime=f"ONNX Runtime {runtime.__version__} ({_place(runtime, session, gpu_index)})",
            max_disparity=_max_disparity(path, session),
            size_multiple=_SIZE_MULTIPLE,
            note=SYNTHETIC_NOTE if notes.get(_WEIGHTS_KEY) == SYNTHETIC else "",
            on_gpu=on_gpu,
            device=f"GPU {gpu_index}" if on_gpu else "CPU",
            dense=_ITERATIONS_KEY in notes,
        )

    def infer(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the graph once; see ``Engine``."""
        if self._session is None:
            raise EngineError(f"engine '{self.info.name}' is closed; open it again")
        check_feeds(self.inputs, feeds)
        try:
            results = self._session.run(None, dict(feeds))
        except Exception as error:  # the runtime's exceptions share no base class of their own
            raise EngineError(
                f"ONNX Runtime failed on '{self.info.name}' with "
                f"{described({name: TensorSpec(feed.shape, feed.dtype) for name, feed in feeds.items()})}: "
                f"{_one_line(error)}"
            ) from error
        return dict(zip(self.outputs, results, strict=True))

    def close(self) -> None:
        """Free the session and its memory."""
        self._session = None

    def __enter__(self) -> OnnxEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _imported_runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError(
            f"an .onnx engine needs ONNX Runtime, which does not import ({error}); pip install onnxruntime, or "
            f"{WITHOUT_A_NETWORK}"
        ) from error
    return onnxruntime


def _opened_session(runtime: Any, path: Path, gpu_index: int | None, threads: int) -> Any:
    if not path.is_file():
        raise EngineError(
            f"there is no engine file {path}; check the path, or write one: ffs export CHECKPOINT -o {path.name}"
        )
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that wait for work by spinning take whole cores from the robot's other programs between two images.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    use_cuda = gpu_index is not None and _CUDA in runtime.get_available_providers()
    cuda = [(_CUDA, {"device_id": gpu_index})] if use_cuda else []
    try:
        return runtime.InferenceSession(str(path), options, providers=[*cuda, _CPU])
    except Exception as error:  # the runtime's exceptions share no base class of their own
        said = _one_line(error)
        if type(error).__name__ == "InvalidProtobuf" or "No graph was found" in said:
            reason = f"it is not an ONNX model, or only a part of one ({path.stat().st_size} bytes)"
            remedy = "copy or export it again"
        elif "external data" in said.lower():
            reason = f"its weights are in another file, which cannot be read ({said})"
            remedy = "copy that file beside it"
        else:
            reason = f"ONNX Runtime {runtime.__version__} says: {said}"
            remedy = "export it again, or install a newer onnxruntime"
        raise EngineError(f"cannot open {path}: {reason}; {remedy}") from error


def _place(runtime: Any, session: Any, gpu_index: int | None) -> str:
    """Where the graph runs, in words; a GPU that was asked for and did not start is said, and logged."""
    if session.get_providers()[0] == _CUDA:
        return f"CUDA, GPU {gpu_index}"
    if gpu_index is None or _CUDA not in runtime.get_available_providers():
        return "CPU"
    logging.getLogger(__name__).warning(
        "ONNX Runtime was built for CUDA but GPU %d did not start, so the network runs on the CPU, far slower: "
        "check nvidia-smi and that CUDA and cuDNN are those this ONNX Runtime expects",
        gpu_index,
    )
    return "CPU; CUDA did not start"


def _spec(path: Path, argument: Any) -> TensorSpec:
    if argument.type not in _DTYPES:
        raise EngineError(
            f"cannot use {path}: its '{argument.name}' is a {argument.type}, expected one of {', '.join(_DTYPES)}; "
            "export it with ffs export"
        )
    shape = tuple(length if isinstance(length, int) else None for length in argument.shape)
    return TensorSpec(shape, np.dtype(_DTYPES[argument.type]))


def _max_disparity(path: Path, session: Any) -> float:
    """The range that the exporter wrote into the file; the released networks' where it says none."""
    text = session.get_modelmeta().custom_metadata_map.get(_MAX_DISPARITY_KEY)
    if text is None:
        return _DEFAULT_MAX_DISPARITY
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise EngineError(
            f"cannot use {path}: its metadata says {_MAX_DISPARITY_KEY} = '{text}', expected a positive number of "
            "pixels; export it again"
        )
    return value


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
