"""What was found goes to the log while it lasts, and once more when it is over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ffs_ros.finding import Finding, Level
from ffs_ros.ros.throttle import ThrottledLog


class FindingLog:
    """Remembers what was found last, to tell what is over."""

    def __init__(self, log: ThrottledLog, logger: Any) -> None:
        self._log = log
        self._logger = logger
        self._lasting: set[str] = set()

    def say(self, findings: Iterable[Finding]) -> None:
        """Log ``findings``, which is everything that is wrong now."""
        found = [finding for finding in findings if finding.level > Level.OK]
        for finding in found:
            say = self._log.error if finding.level >= Level.ERROR else self._log.warn
            say(finding.sentence)
        names = {finding.name for finding in found}
        for name in sorted(self._lasting - names):
            self._logger.info(f"over: {name}")
        self._lasting = names
