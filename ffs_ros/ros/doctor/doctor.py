"""Everything that a node can find out about its input, in one look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ffs_ros.calibration import Calibration
from ffs_ros.finding import Finding, Level
from ffs_ros.pairing import Pairing
from ffs_ros.ros.doctor.camera_infos import CameraInfos
from ffs_ros.ros.doctor.clock import clock_findings
from ffs_ros.ros.doctor.graph import Graph
from ffs_ros.ros.doctor.unpaired import SILENCE, Unpaired
from ffs_ros.ros.inputs import Inputs
from ffs_ros.ros.throttle import LONGEST_SENTENCE
from ffs_ros.ros.transport import lost_images_remedy


class Pictures(Protocol):
    """What can say something about the pictures themselves."""

    def look(self) -> list[Finding]:
        """What is wrong with them now."""
        ...

    def close(self) -> None:
        """Look at no more."""
        ...


class Doctor:
    """Says why there is no depth, or why it is not what it should be."""

    def __init__(
        self,
        node: Any,
        pairing: Pairing,
        calibration: Calibration,
        inputs: Inputs,
        pictures: Pictures,
        publishers: Sequence[Any] = (),
        others: bool = False,
    ) -> None:
        """``publishers`` are the outputs'; with ``others`` further subscribers of the inputs are looked at too."""
        self._clock = node.get_clock()
        self._pairing = pairing
        self._inputs = inputs
        self._seen_lost = inputs.lost
        self._graph = Graph(node, inputs.subscriptions, publishers, others)
        self._unpaired = Unpaired(pairing, inputs.image_topics, node.count_publishers, lost_images_remedy)
        self._camera_infos = CameraInfos(calibration, pairing, inputs.info_topics)
        self._pictures = pictures
        self._cut_off: set[str] = set()

    def look(self, elapsed_s: float) -> list[Finding]:
        """What is wrong since the last look, ``elapsed_s`` ago; nothing on a healthy day."""
        findings, cut_off = self._graph.look()
        self._cut_off = cut_off
        findings += self._unpaired.look(elapsed_s, cut_off)
        findings += self._lost()
        findings += clock_findings(self._clock, self._pairing, self._inputs.image_topics)
        findings += self._camera_infos.look(elapsed_s, cut_off)
        findings += self._pictures.look()
        return _short(findings)

    def since(self, findings: Sequence[Finding]) -> list[Finding]:
        """What the last look found, with the sides that have stopped or come back since then. Cheap."""
        return [
            *_short(self._unpaired.silence(self._cut_off)),
            *(finding for finding in findings if finding.name not in SILENCE),
        ]

    def close(self) -> None:
        """Look at no more pictures."""
        self._pictures.close()

    def _lost(self) -> list[Finding]:
        seen, self._seen_lost = self._seen_lost, self._inputs.lost
        return [Finding("messages lost", Level.WARN, self._inputs.loss())] if self._seen_lost > seen else []


def _short(findings: Sequence[Finding]) -> list[Finding]:
    return [finding._replace(sentence=finding.sentence[:LONGEST_SENTENCE]) for finding in findings]
