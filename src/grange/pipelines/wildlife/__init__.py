"""Wildlife: from camera-trap videos and pictures to tables, tracks and pictures to look at."""
