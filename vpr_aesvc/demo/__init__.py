"""A street that is drawn, for the demo and for tests: driven twice, in other light and with other cars about."""

from vpr_aesvc.demo.route import COLUMNS, SPACING, draw_route

__all__ = ["COLUMNS", "SPACING", "draw_route"]
