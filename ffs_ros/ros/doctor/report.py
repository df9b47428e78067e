"""What ``ffs doctor`` prints: what came on each topic, then what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rclpy.utilities import get_rmw_implementation_identifier

from ffs_ros.errors import FfsError
from ffs_ros.finding import Finding, Level
from ffs_ros.geometry import StereoCamera
from ffs_ros.pairing import Side
from ffs_ros.ros.doctor.examination import Examination
from ffs_ros.ros.doctor.graph import full_name
from ffs_ros.ros.transport import profile_warning
from ffs_ros.sync import stamp_ns
from ffs_ros.topics import LEFT_IMAGE, LEFT_INFO, RIGHT_IMAGE, RIGHT_INFO
from ffs_ros.unpaired_reason import nearest_ns

_COLUMN = 18
_DISPARITY_TYPE = "stereo_msgs/msg/DisparityImage"


def report(seen: Examination, findings: Sequence[Finding], images: Sequence[str]) -> str:
    """The whole text; ``images`` are all topics of the graph that carry some."""
    lines = [*_inputs(seen), *_pairs(seen), *_around(seen)]
    if not seen.pairing.left.received and not seen.pairing.right.received:
        lines.append(_line("images here", ", ".join(images) or "none on this graph"))
    remaps = [f"-r {name}:={topic}" for name, topic in seen.remaps.items() if topic != f"/{name}"]
    if remaps:
        lines.append(_line("for the node", f"--ros-args {' '.join(remaps)}"))
    lines.append("")
    lines += [f"{finding.level.name}: {finding.name}: {finding.sentence}" for finding in findings]
    if all(finding.level < Level.ERROR for finding in findings):
        lines.append("Nothing found that keeps a stereo node from giving depth.")
    return "\n".join(lines)


def _line(name: str, text: str) -> str:
    return f"{name:<{_COLUMN}}{text}"


def _inputs(seen: Examination) -> Iterator[str]:
    """Two lines for each topic: what came and who sends it."""
    left, right = seen.pairing.left, seen.pairing.right
    infos = seen.calibration.received
    rows = (
        (LEFT_IMAGE, seen.topics.left, left.received, _image(left)),
        (LEFT_INFO, seen.topics.left_info, infos[0], _camera_info(seen.calibration.left)),
        (RIGHT_IMAGE, seen.topics.right, right.received, _image(right)),
        (RIGHT_INFO, seen.topics.right_info, infos[1], _camera_info(seen.calibration.right)),
    )
    for name, topic, received, what in rows:
        rate = f"{received} messages, {received / max(seen.elapsed_s, 1e-9):.1f} Hz"
        yield _line(name, ", ".join(filter(None, (topic, rate, what))))
        offered = seen.node.get_publishers_info_by_topic(topic)
        yield _line("", "; ".join(map(_publisher, offered)) or "nobody publishes it")


def _image(side: Side) -> str:
    """Size, encoding, frame and stamp of the newest one."""
    image = side.newest
    if image is None:
        return ""
    size = f"{image.width}x{image.height} {image.encoding}" if hasattr(image, "encoding") else image.format
    return f"{size[:60]}, frame '{image.header.frame_id[:60]}', newest stamp {stamp_ns(image) / 1e9:.6f} s"


def _camera_info(info: Any) -> str:
    return f"{info.width}x{info.height}, P[0] = {info.p[0]:g}, P[3] = {info.p[3]:g}" if info is not None else ""


def _publisher(endpoint: Any) -> str:
    qos = endpoint.qos_profile
    policies = f"{qos.reliability.name.lower()}, {qos.durability.name.lower()}"
    return f"from {full_name(endpoint)} ({policies}), {endpoint.topic_type}"


def _pairs(seen: Examination) -> Iterator[str]:
    left, right = seen.pairing.left.recent_stamps_ns, seen.pairing.right.recent_stamps_ns
    apart = ""
    if left and right:
        apart_ms = sorted(n / 1e6 for n in nearest_ns(left, right))
        apart = f"; stamps are {apart_ms[0]:.3f} to {apart_ms[-1]:.3f} ms apart"
    yield _line("pairs", f"{seen.pairing.paired} ({seen.pairing.describe()}){apart}")
    try:
        camera = StereoCamera.from_camera_info(seen.calibration.left, seen.calibration.right)
    except FfsError:
        yield _line("baseline", "not known")
    else:
        difference_px = camera.principal_point_difference_px
        verged = f", cx_left - cx_right = {difference_px:g} px" if difference_px else ""
        yield _line("baseline", f"{camera.baseline_m:g} m, fx = {camera.fx_px:g} px{verged}")
    yield _line("pictures", f"{seen.pictures.samples} pairs looked at")


def _around(seen: Examination) -> Iterator[str]:
    """The middleware, and what is known of nodes that run."""
    middleware = get_rmw_implementation_identifier()
    if middleware.startswith("rmw_fastrtps"):
        has = "no" if profile_warning() else "a"
        middleware += f"; this process has {has} transport profile, the camera's is what counts (docs/transport.md)"
    yield _line("transport", middleware)
    topics = seen.node.get_topic_names_and_types()
    outputs = [name for name, kinds in topics if _DISPARITY_TYPE in kinds and seen.node.count_publishers(name)]
    names: set[str] = set()
    for topic in outputs:
        nodes = [full_name(end) for end in seen.node.get_publishers_info_by_topic(topic)]
        names.update(node.lstrip("/") for node in nodes)
        readers = seen.node.count_subscribers(topic)
        yield _line("stereo node", f"{', '.join(nodes)} publishes {topic}, which has {readers or 'no'} subscribers")
    if not outputs:
        yield _line("stereo node", "none on this graph")
    for name, status in sorted(seen.diagnostics.items()):
        if name.partition(":")[0] in names:
            yield _line("/diagnostics", f"{Level(_number(status.level)).name} {name}: {status.message}")


def _number(level: Any) -> int:
    """A DiagnosticStatus's level, which rclpy gives as one byte; anything beyond the worst is the worst."""
    return min(level[0] if isinstance(level, bytes) else int(level), max(Level))
