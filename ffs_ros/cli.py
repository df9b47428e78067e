"""``ffs VERB``: finds the verb, reads its arguments, and turns an FfsError into a line and exit code 2."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from importlib import import_module
from typing import NamedTuple, NoReturn

from ffs_ros import __version__
from ffs_ros.errors import FfsError, ListError


class Verb(NamedTuple):
    """One row of the table; the module is imported only when its verb is chosen."""

    module: str
    summary: str


VERBS = {
    "infer": Verb("ffs_ros.tools.infer", "disparity, and with a calibration depth and points, of two rectified images"),
    "export": Verb("ffs_ros.tools.export", "checkpoint -> ONNX graph, proved against the network before it is written"),
    "build-engine": Verb("ffs_ros.tools.build_engine", "ONNX graph -> TensorRT engine, proven before it is installed"),
    "bench": Verb(
        "ffs_ros.tools.bench", "latency, throughput and memory of engines, and how near they are to the floor"
    ),
    "bag": Verb("ffs_ros.tools.bag", "a recorded stereo bag -> a bag with depth, and what it is like"),
    "train": Verb("ffs_ros.tools.train", "finetune the network on annotated pairs, or train it on rendered scenes"),
    "doctor": Verb("ffs_ros.ros.doctor.verb", "why there is no depth: looks at the cameras on a running ROS graph"),
    "eval": Verb("ffs_ros.tools.evaluate", "errors of an engine on pairs with ground truth, as numbers and as a page"),
    "compare": Verb("ffs_ros.tools.compare", "drift between two engines over pairs, with a verdict"),
    "spec": Verb("ffs_ros.tools.spec", "a spec to begin with, for -e: every key with its default and what it means"),
    "inspect": Verb("ffs_ros.tools.inspect", "what a checkpoint, ONNX file or engine is"),
}
TAO_VERBS = {
    "evaluate": "TAO's evaluate is here: ffs eval -e SPEC.yaml",
    "inference": "TAO's inference is here: ffs infer -e SPEC.yaml",
    "gen_trt_engine": "TAO's gen_trt_engine is here: ffs build-engine -e SPEC.yaml",
    "quantize": "there is no quantize here, engines are fp16 or fp32: ffs build-engine MODEL.onnx -o NAME.engine",
    "convert": "there is no convert here: write 'left right [disparity [mask]]' on each line of a list; ffs eval takes "
    "public folders without one (--layout)",
    "default_specs": "TAO's default_specs is here: ffs spec -o SPEC.yaml",
}
"""What to say to TAO's names of actions (docs/tao.md)."""
EXAMPLES = """\
examples:
  ffs infer sgbm left.png right.png -o out --camera calib.txt
  ffs inspect model_best_bp2_serialize.pth
  ffs export model_best_bp2_serialize.pth -o model.onnx --size 480x736
  ffs infer model.onnx left.png right.png -o out
  ffs build-engine model.onnx -o engines/model.engine
  ffs bench engines/model.engine --against sgbm
  ffs eval model.onnx --list annotations.txt
  ffs compare engines/model.engine model.onnx --list annotations.txt
  ffs train -e spec.yaml
  ffs bag rec -o rec_depth
  ffs doctor
"""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one verb and exit: 0 done, 2 what the user can put right, 130 interrupted; a bug keeps its traceback."""
    argv = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a file's name may hold what the terminal's encoding does not
            stream.reconfigure(errors="backslashreplace")
    try:
        _run(argv)
        sys.stdout.flush()
    except FfsError as error:
        for sentence in error.args if isinstance(error, ListError) else [str(error)]:
            print("ffs:", " ".join(sentence.split("\n")), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has gone, as in `ffs inspect FILE | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(0)


def _run(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="ffs",
        description="Fast-FoundationStereo depth for robots.",
        epilog="verbs:\n" + "".join(f"  {name:<12} {verb.summary}\n" for name, verb in VERBS.items()) + "\n" + EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ffs {__version__}")
    parser.add_argument("verb", metavar="VERB", choices=[*VERBS], help="'ffs VERB --help' says more")
    if not argv:
        parser.print_help(sys.stderr)
        sys.exit(2)
    if argv[0] in TAO_VERBS:
        raise FfsError(TAO_VERBS[argv[0]])
    verb = parser.parse_args(argv[:1]).verb

    tool = import_module(VERBS[verb].module)
    verb_parser = argparse.ArgumentParser(
        prog=f"ffs {verb}", description=tool.HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    tool.add_arguments(verb_parser)
    words, record = argv[1:], lambda args: nullcontext()
    if hasattr(tool, "ACTION"):
        spec = import_module("ffs_ros.spec.command")
        spec.add_spec_option(verb_parser)
        words, record = spec.words_of(verb, tool.ACTION, words)
    # Intermixed, so that an optional first name is found among options: ffs infer -o OUT LEFT RIGHT.
    args = verb_parser.parse_intermixed_args(words)
    with record(args):
        tool.main(args)
