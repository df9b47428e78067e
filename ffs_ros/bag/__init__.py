"""Recorded bags: read whatever recorded them and whatever is left of them, replay them as the node would, write anew.

The only folder with rosbags, and without ROS.
"""
