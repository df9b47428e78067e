"""Fast-FoundationStereo depth for robots: a ROS 2 node and the offline tools around it."""

__version__ = "0.1.0"
