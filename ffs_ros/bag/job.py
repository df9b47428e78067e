"""``ffs bag`` from what is asked for to its report: opens what it needs, replays the bag, puts all in its place."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ffs_ros import __version__
from ffs_ros.bag.camera_topics import Asked, camera_topics, missing_infos, wrong_depth_topic
from ffs_ros.bag.codec import decoded
from ffs_ros.bag.opening import open_bag, salvaged
from ffs_ros.bag.output_bag import OutputBag, output_bag, output_topic
from ffs_ros.bag.output_messages import camera_info_of
from ffs_ros.bag.pair_work import Done, PairWork
from ffs_ros.bag.recorded import Bag, BagDamaged
from ffs_ros.bag.replay import Counted, LogClock, Replay
from ffs_ros.bag.report_page import bag_page
from ffs_ros.calibration import Calibration
from ffs_ros.camera_file import read_camera_infos
from ffs_ros.config import NodeConfig
from ffs_ros.errors import FfsError, ListError, MessageError
from ffs_ros.live_engine import LiveEngine
from ffs_ros.stereo_topics import StereoTopics
from ffs_ros.sync import stamp_ns
from ffs_ros.whole_file import whole_folder
from ffs_ros.wire import size_of_picture

REPORT, PAGE, PAIRS = "report.json", "report.html", "pairs.jsonl"


_FIND_ALL = Asked()
_NOT_HERE = ("image_transport", "build_if_missing", "autostart")
"""Parameters that say nothing about a replay: the topics show the transport."""


@dataclass(frozen=True)
class Job:
    """What is asked for."""

    bag: Path
    out: Path
    config: NodeConfig
    asked: Asked = _FIND_ALL
    outputs: tuple[str, ...] = ("disparity", "depth", "camera_info")
    """Names of ``ffs_ros.topics.OUTPUTS``."""
    with_inputs: bool = False
    storage: str = "mcap"
    """One of ``output_bag.STORAGES``."""
    namespace: str = ""
    camera: Path | None = None
    """A calibration, instead of the bag's CameraInfo."""
    depth_topic: str = ""
    against: str = ""
    """A second engine."""


def run(job: Job, logger: Any, counted: Counted) -> dict[str, Any]:
    """Do it; gives what report.json says. Raises FfsError."""
    names = {name: output_topic(job.namespace, name) for name in job.outputs}
    with whole_folder(job.out) as folder:
        bag = open_bag(job.bag)
        try:
            return _replayed(job, names, bag, folder, logger, counted)
        except BagDamaged as damage:
            logger.warning(f"{job.bag} is damaged ({damage}): once more, with what can be read of it")
            shutil.rmtree(folder)
            return _replayed(job, names, salvaged(job.bag, str(damage)), folder, logger, counted)
        finally:
            bag.close()


def _replayed(
    job: Job, names: Mapping[str, str], bag: Bag, folder: Path, logger: Any, counted: Counted
) -> dict[str, Any]:
    there = [topic for topic, count in bag.counts.items() if count]
    topics = camera_topics(there, job.asked)
    wrong = list(missing_infos(there, topics)) if job.camera is None else []
    wrong += wrong_depth_topic(there, topics, job.depth_topic) if job.depth_topic else ()
    if wrong:
        raise ListError(*wrong)
    clock = LogClock()
    calibration = Calibration(topics.left_info, topics.right_info, rectify=job.config.rectify, clock=clock)
    listened = topics
    if job.camera is not None:
        left_info, right_info = read_camera_infos(job.camera, _size_of_images(bag, topics))
        calibration.set_left(camera_info_of(left_info))
        calibration.set_right(camera_info_of(right_info))
        listened = topics._replace(left_info="", right_info="")
    with ExitStack() as held:
        engine = held.enter_context(closing(LiveEngine(job.config, logger)))
        against = None
        if job.against:
            config = replace(job.config, engine=job.against, fallback_engine="")
            against = held.enter_context(closing(LiveEngine(config, logger)))
        output = held.enter_context(output_bag(folder, job.storage, names))
        if job.with_inputs:
            output.take_over(bag)
        lines = held.enter_context((folder / PAIRS).open("w", encoding="utf-8"))
        work = PairWork(job.config, engine, calibration, output, job.outputs, against)
        replay = Replay(
            job.config, listened, calibration, clock, work,
            on_done=lambda left, right, done: print(json.dumps(_line(left, right, done)), file=lines),
            depth_topic=job.depth_topic,
        )  # fmt: skip
        replay.run(bag, output.copy if job.with_inputs else None, counted)
        if not work.account.matched:
            raise FfsError(_why_nothing(replay, work))
        record = _record(job, bag, topics, replay, work, output)
        record["engine"] = _engine(engine)
        if against is not None:
            record["against"] = {**_engine(against), **work.figures.against.record()}
    record = _without_nan(record)
    (folder / REPORT).write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    (folder / PAGE).write_text(bag_page(record, work.figures, work.frames), encoding="utf-8")
    return record


def _record(
    job: Job, bag: Bag, topics: StereoTopics, replay: Replay, work: PairWork, output: OutputBag
) -> dict[str, Any]:
    record = {
        "ffs_ros_version": __version__,
        "made_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "bag": str(job.bag),
        "damage": list(bag.damage),
        "topics": topics._asdict(),
        "parameters": {name: value for name, value in asdict(job.config).items() if name not in _NOT_HERE},
        **work.account.record(replay.pairing),
        "why_unpaired": replay.why_unpaired,
        **work.figures.record(),
        "output": {
            "folder": str(job.out),
            "storage": job.storage,
            "messages": output.messages(),
            "bytes": output.bytes,
            "not_copied": output.not_copied,
        },
    }
    if job.depth_topic:
        record["depth_topic"] = {
            "topic": job.depth_topic,
            **work.figures.depth_topic.record(),
            "unusable": replay.unusable_depth,
        }
    return record


def _size_of_images(bag: Bag, topics: StereoTopics) -> tuple[int, int] | None:
    """Rows and columns, for calibrations that do not say for which size they are."""
    for recorded in bag.messages({topics.left}):
        with suppress(MessageError):  # the next one may be fine
            return size_of_picture(decoded(recorded, bag.ros1))
    return None


def _line(left: Any, right: Any, done: Done) -> dict[str, Any]:
    """Of pairs.jsonl."""
    figures = done.figures._asdict()
    if done.figures.against is not None:
        figures["against"] = done.figures.against._asdict()
    return _without_nan(
        {"stamp_ns": stamp_ns(left), "right_stamp_ns": stamp_ns(right), "log_ns": done.log_ns, **figures}
    )


def _why_nothing(replay: Replay, work: PairWork) -> str:
    reasons = [*work.account.rejected, *work.account.failed]
    if reasons:
        return f"none of the bag's {replay.pairing.paired} pairs gave a disparity: {reasons[0]}"
    left, right = replay.pairing.left.received, replay.pairing.right.received
    return f"none of the bag's {left} left and {right} right images paired: {replay.why_unpaired}"


def _engine(engine: LiveEngine) -> dict[str, Any]:
    info = engine.info
    return {"name": info.name, "runtime": info.runtime, "device": info.device}


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: there is nothing to say, null."""
    if isinstance(value, dict):
        return {str(name): _without_nan(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
