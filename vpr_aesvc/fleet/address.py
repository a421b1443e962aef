"""The address of a fleet's map: ``postgresql://user@host/db?map=city``."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from vpr_aesvc.errors import VprError, first_line

_OURS = ("map", "family", "frame", "thumbnails", "index")
_SECRET = ("password", "sslpassword")


@dataclass(frozen=True)
class FleetAddress:
    """Where a fleet's map is.

    Attributes:
        conninfo: for libpq, with the password if the address has one; never shown.
        text: for messages, without secrets.
        map: its name. family: of its model, to choose one of several maps of this name.
        frame: of the poses, to choose one of several. thumbnails: whether the pictures of new places are stored, too.
        index: address of the Milvus server that helps search; None without one.
        secrets: what no message may contain.
    """

    conninfo: str
    text: str
    map: str
    family: str | None
    frame: str | None
    thumbnails: bool
    index: str | None
    secrets: tuple[str, ...]

    @classmethod
    def parse(cls, url: str, needs_map: bool = True) -> "FleetAddress":
        """Raises VprError if it is none, or names no map."""
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = urlsplit("")
        is_split = "@" in url and ("@" not in parts.netloc or parts.fragment)  # a password with / or # would be shown
        if parts.scheme not in ("postgresql", "postgres") or is_split:
            raise VprError(
                "expected the address of a fleet's map, postgresql://USER@HOST/DATABASE?map=NAME; a password's special characters are "
                "percent-encoded, or it is in ~/.pgpass"
            )
        given = parse_qsl(parts.query, keep_blank_values=True)
        ours = {name: value for name, value in given if name in _OURS}
        if not re.fullmatch(
            r"milvus://[^@/]+", ours.get("index", "milvus://host")
        ):  # not printed: it may hold a password
            raise VprError(
                "the address of a fleet's map: expected index=milvus://HOST:PORT; a token is in MILVUS_TOKEN"
            )
        user, _, host = parts.netloc.rpartition("@")
        name, _, password = user.partition(":")
        secrets = {password, unquote(password), *(value for key, value in given if key in _SECRET)} - {""}
        shown = urlencode([(key, value) for key, value in given if key in _OURS], safe="/:")
        netloc = f"{name}@{host}" if user else host
        text = f"{parts.scheme}://{netloc}{parts.path}" + (f"?{shown}" if shown else "")
        if needs_map and not ours.get("map"):
            raise VprError(f"{text}: names no map; add one to the address, as in postgresql://host/database?map=city")
        libpq = urlencode([(key, value) for key, value in given if key not in _OURS], safe="/")
        return cls(
            conninfo=urlunsplit((parts.scheme, parts.netloc, parts.path, libpq, "")),
            text=text,
            map=ours.get("map", ""),
            family=ours.get("family"),
            frame=ours.get("frame"),
            thumbnails=ours.get("thumbnails", "no").lower() in ("", "1", "yes", "true"),
            index=ours.get("index"),
            secrets=tuple(sorted(secrets, key=len, reverse=True)),
        )

    def words(self, error: Exception) -> str:
        """The first line of an error, without secrets."""
        line = first_line(error)
        for secret in self.secrets:
            line = line.replace(secret, "***")
        return line
