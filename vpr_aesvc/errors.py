"""The one exception for what a user can put right."""

from __future__ import annotations


class VprError(Exception):
    """Bad input, said in one line: what was expected, what was found, and what to do next.

    The ``vpr`` command prints the message and exits with code 1; a Python caller catches it. A bug is never a VprError.
    """
