"""The messages of an MCAP file in the order in which they were written, without its index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vpr_aesvc.recordings.bags.messages import Damaged, Record, type_name

_CODED = {"cdr": False, "ros1": True}


def mcap_records(file: Path) -> Iterator[Record]:
    """Messages of ROS 2, and those of ROS 1 that were converted.

    Raises:
        Damaged: the file ends before its end mark, or holds what is no record.
    """
    from mcap.records import Channel, Footer, Message, Schema
    from mcap.stream_reader import CRCValidationError, StreamReader

    schemas: dict[int, str] = {}
    channels: dict[int, tuple[str, str, bool]] = {}
    whole = False
    with file.open("rb") as stream:
        try:
            for record in StreamReader(stream, validate_crcs=True).records:
                if isinstance(record, Message):
                    if record.channel_id in channels:
                        yield Record(*channels[record.channel_id], record.log_time, record.data)
                elif isinstance(record, Schema):
                    schemas[record.id] = type_name(record.name)
                elif isinstance(record, Channel) and record.message_encoding in _CODED and record.schema_id in schemas:
                    ros1 = _CODED[record.message_encoding]
                    channels[record.id] = record.topic, schemas[record.schema_id], ros1
                whole |= isinstance(record, Footer)
        except Exception as error:  # the reader meets bad bytes with whatever its next step raises
            if not whole:
                at, size = stream.tell(), file.stat().st_size
                what = "a wrong checksum" if isinstance(error, CRCValidationError) else "bytes that are no record"
                where = "truncated" if at >= size else f"{what} at {at / 1e6:.1f} of {size / 1e6:.1f} MB"
                raise Damaged(f"{file.name}: {where}") from error
