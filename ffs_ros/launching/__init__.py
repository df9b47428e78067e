"""What the launch files share. Only this folder and ``launch/`` know ROS's package ``launch``."""
