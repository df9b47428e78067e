"""Images that are published in another form than the one that is wanted."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from ffs_ros.ros.doctor.other_form import other_form


@pytest.mark.parametrize(
    ("topic", "published", "remedy"),
    [
        ("/l/image_rect", "/l/image_rect/compressed", "set image_transport:=compressed"),
        ("/l/image_rect/compressed", "/l/image_rect", "set image_transport:=raw"),
        ("/l/image_rect", "/l/image_raw", "set rectify:=true"),
        ("/l/image_raw", "/l/image_rect", "set rectify:=false"),
        ("/l/image_rect", "/l/image_raw/compressed", "set rectify:=true image_transport:=compressed"),
        ("/l/image_raw/compressed", "/l/image_rect", "set rectify:=false image_transport:=raw"),
        ("/l/image_raw/compressed", "/l/image_rect/compressed", "set rectify:=false"),
        ("/infra1", "/infra1/compressed", "set image_transport:=compressed"),
    ],
)
def test_the_parameters_that_take_what_is_there(topic: str, published: str, remedy: str) -> None:
    """Packed or not, raw or rectified, or both."""
    assert other_form(topic, lambda name: int(name == published)) == f"{published} is published: {remedy}"


@pytest.mark.parametrize("topic", ["/l/image_rect", "/l/image_raw/compressed", "/infra1"])
def test_nothing_else_is_taken_for_it(topic: str) -> None:
    """Other names are other images."""
    others = {"/l/image", "/l/image_rect_color", "/r/image_rect", "/infra1/image_raw"}
    assert other_form(topic, lambda name: int(name in others)) is None
