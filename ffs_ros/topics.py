"""The topics of ``stereo_node``, declared once: names before remapping, relative to the node's namespace."""

from __future__ import annotations

LEFT_IMAGE, RIGHT_IMAGE = "left/image_rect", "right/image_rect"
LEFT_INFO, RIGHT_INFO = "left/camera_info", "right/camera_info"
RAW_LEFT_IMAGE, RAW_RIGHT_IMAGE = "left/image_raw", "right/image_raw"
"""In place of the rectified ones, for a node that rectifies."""
PACKED = "/compressed"
"""image_transport's ending of packed images."""

OUTPUTS = {
    "disparity": "disparity",
    "depth": "depth/image_rect",
    "camera_info": "depth/camera_info",
    "points": "points2",
    "colours": "disparity/color",
    "confidence": "confidence",
    "occlusion": "occlusion",
}
"""By what they are."""

OUTPUT_DEPTH = 5
"""Messages that the outputs, which are reliable, keep for a consumer that falls behind."""
