"""The exception for everything that a user can correct."""

from importlib import import_module

# Packages whose names are not those of their modules.
_PACKAGES = {"sklearn": "scikit-learn", "scipy.io": "scipy", "psycopg": "'psycopg[binary]'"}


class VprError(Exception):
    """Bad input. The message, one line, names what was expected, what was found and what to do next.

    The ``vpr`` command prints the message and exits with code 1. A bug is never a VprError.
    """

    def __str__(self) -> str:
        """The message. Line ends and other control characters, which names of files can hold, are written as escapes."""
        return printable(super().__str__())


def printable(text: str, kept: str = "") -> str:
    """Text whose control characters, which could move the cursor or recolor the terminal, are written as escapes such as ``\\x1b``; but not those
    of ``kept``."""
    return "".join(one if one.isprintable() or one in kept else repr(one)[1:-1] for one in text)


def expect(value: object, kind: type | tuple[type, ...], words: str) -> None:
    """Raises VprError if an argument is of another type; ``words`` say what it should be and how to get one."""
    if not isinstance(value, kind):
        raise VprError(f"expected {words}, found {type(value).__name__} {str(value)[:60]!r}")


def require_installed(what: str, *modules: str) -> None:
    """Raises VprError if one of the modules, of optional packages, cannot be imported; ``what`` needs them."""
    try:
        for module in modules:
            import_module(module)
    except ImportError as error:
        packages = [_PACKAGES.get(module, module) for module in modules]
        words = " and ".join([", ".join(packages[:-1]), packages[-1]] if len(packages) > 1 else packages)
        raise VprError(f"{what} needs {words}: pip install {' '.join(packages)}") from error


def first_line(error: Exception) -> str:
    """An error message in one line of at most 300 characters; for a pydantic error its first field and message."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg'].removeprefix('Value error, ')}"
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
