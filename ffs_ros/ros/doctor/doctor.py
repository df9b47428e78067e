"""Everything that a node can find out about its input, in one look."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ffs_ros.advice import few_answers
from ffs_ros.finding import Finding, Level
from ffs_ros.ros.calibration import Calibration
from ffs_ros.ros.doctor.camera_infos import CameraInfos
from ffs_ros.ros.doctor.clock import clock_findings
from ffs_ros.ros.doctor.graph import Graph
from ffs_ros.ros.doctor.images import Images, Sample
from ffs_ros.ros.doctor.unpaired import Unpaired
from ffs_ros.ros.inputs import Inputs
from ffs_ros.ros.outputs import Matched
from ffs_ros.ros.pairing import Pairing
from ffs_ros.ros.throttle import LONGEST_SENTENCE, ThrottledLog
from ffs_ros.ros.transport import lost_images_remedy

_LOOKS_TO_REMEMBER = 6
"""What pictures said is over when so many looks have passed without new ones: an engine may be slow, or nobody wants
any more."""


class Doctor:
    """Says why there is no depth, or why it is not what it should be."""

    def __init__(
        self,
        node: Any,
        log: ThrottledLog,
        pairing: Pairing,
        calibration: Calibration,
        inputs: Inputs,
        publishers: Sequence[Any],
        newest: Callable[[], Matched | None],
    ) -> None:
        """``publishers`` are the outputs', ``newest`` gives the pair that was matched last; ``log`` hears of bugs."""
        self._node = node
        self._pairing = pairing
        self._inputs = inputs
        self._newest = newest
        self._seen_newest: Matched | None = None
        self._looks_without = 0
        self._seen_lost = inputs.lost
        self._image_topics = inputs.image_topics
        self._graph = Graph(node, inputs.subscriptions, publishers)
        self._unpaired = Unpaired(pairing, self._image_topics, node.count_publishers, lost_images_remedy)
        self._camera_infos = CameraInfos(calibration, pairing, inputs.info_topics)
        self._images = Images(self._image_topics, lambda bug: _report(bug, log))

    def look(self, elapsed_s: float) -> list[Finding]:
        """What is wrong since the last look, ``elapsed_s`` ago; nothing on a healthy day."""
        findings, cut_off = self._graph.look()
        findings += self._unpaired.look(elapsed_s, cut_off)
        findings += self._lost()
        findings += clock_findings(self._node.get_clock(), self._pairing, self._image_topics)
        findings += self._camera_infos.look(elapsed_s, cut_off)
        findings += self._pictures()
        return [finding._replace(sentence=finding.sentence[:LONGEST_SENTENCE]) for finding in findings]

    def close(self) -> None:
        """Stop looking at pictures."""
        self._images.close()

    def _lost(self) -> list[Finding]:
        seen, self._seen_lost = self._seen_lost, self._inputs.lost
        return [Finding("messages lost", Level.WARN, self._inputs.loss())] if self._seen_lost > seen else []

    def _pictures(self) -> list[Finding]:
        newest = self._newest()
        self._looks_without = self._looks_without + 1 if newest is self._seen_newest else 0
        self._seen_newest = newest
        if newest is None or self._looks_without > _LOOKS_TO_REMEMBER:
            return []
        if not self._looks_without:
            difference_px = newest.camera.principal_point_difference_px
            self._images.offer(Sample(newest.left_HW3, newest.right_HW3, difference_px))
        few = few_answers(float(np.isfinite(newest.disparity_HW).mean()))
        return self._images.findings() + ([Finding("few answers", Level.WARN, few)] if few else [])


def _report(bug: BaseException, log: ThrottledLog) -> None:
    """The pictures are looked at on another thread, where an exception would go unseen."""
    log.warn("the doctor met a bug; please report it:\n" + "".join(traceback.format_exception(bug)))
