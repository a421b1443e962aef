"""The ``vpr`` command."""
