"""A drawn street: the demo's data, and the images that tests use on every machine.

A robot drives it twice, in the morning (database) and in the evening (queries).
Poses, headings and stamps are exact, and the same seed gives the same files.
Light, shadows, clouds, cars and the robot's path differ between the two drives; the houses stay.
A street has few house designs, so different places look alike: the raw embedding confuses them.
Houses, cars and ground are textured planes, drawn with OpenCV and seen by one pinhole camera with a depth buffer.
"""

from vpr_aesvc.demo.route import COLUMNS, SPACING, draw_route

__all__ = ["COLUMNS", "SPACING", "draw_route"]
