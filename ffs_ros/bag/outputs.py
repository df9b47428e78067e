"""What the node would publish of a pair, as messages of a bag."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from ffs_ros.bag.output_messages import camera_info_message, disparity_message, image_message, point_cloud_message
from ffs_ros.left_right_check import Agreement
from ffs_ros.limits import Limits
from ffs_ros.matched_pair import Matched
from ffs_ros.message_fields import depth_fields, depth_of_message, disparity_fields, image_fields, shown_range_px
from ffs_ros.picture import colour_disparity
from ffs_ros.point_cloud import pack_points

SECOND_PASS = ("confidence", "occlusion")
"""Outputs of the pair matched from the right camera as well."""


def messages_of(
    wanted: Collection[str], header: Any, left_info: Any, matched: Matched, limits: Limits, depth_encoding: str
) -> Iterator[tuple[str, Any]]:
    """Name in ``ffs_ros.topics.OUTPUTS`` and message of each that is wanted and needs no second pass.

    ``matched`` keeps ``limits`` already; ``header`` is the left image's.
    """
    fields = disparity_fields(matched.disparity_HW, matched.camera, matched.max_disparity_px, limits)
    if "disparity" in wanted:
        yield "disparity", disparity_message(header, fields)
    if "depth" in wanted or "points" in wanted:
        depth_HW = depth_of_message(fields.image.data.copy(), matched.camera)
        if "depth" in wanted:
            yield "depth", image_message(header, depth_fields(depth_HW, depth_encoding))
        if "points" in wanted:
            yield "points", point_cloud_message(header, pack_points(depth_HW, matched.left_HW3, matched.camera))
    if "colours" in wanted:
        yield "colours", image_message(header, image_fields(_colours(matched, limits), "rgb8"))
    if "camera_info" in wanted:
        yield "camera_info", camera_info_message(header, left_info)


def messages_of_second_pass(wanted: Collection[str], header: Any, agreed: Agreement) -> Iterator[tuple[str, Any]]:
    """As above, of those that need one."""
    if "confidence" in wanted:
        yield "confidence", image_message(header, image_fields(agreed.confidence_HW, "32FC1"))
    if "occlusion" in wanted:
        yield "occlusion", image_message(header, image_fields(agreed.occluded_HW, "mono8"))


def _colours(matched: Matched, limits: Limits) -> np.ndarray:
    difference_px = matched.camera.principal_point_difference_px
    lowest_px, highest_px = shown_range_px(matched.camera, matched.max_disparity_px, limits)
    return colour_disparity(matched.disparity_HW, lowest_px + difference_px, highest_px + difference_px)
