"""The ``vpr`` command: from images to a place match."""

import io
import os
import re
import signal
import stat
import sys
from contextlib import suppress
from dataclasses import is_dataclass
from pathlib import Path
from typing import TextIO

from cyclopts import App, Parameter
from cyclopts.exceptions import CycloptsError

from vpr_aesvc import __version__
from vpr_aesvc.errors import VprError, printable
from vpr_aesvc.fleet import is_fleet_url
from vpr_aesvc.runtime import wait_passively

wait_passively()
try:
    from vpr_aesvc.cli import (
        bag,
        bench,
        data,
        demo,
        doctor,
        eval,
        export,
        extract,
        fleet,
        live,
        map,
        model,
        pairs,
        plan,
        query,
        replay,
        train,
        view,
    )
    from vpr_aesvc.cli.console import err, out
except KeyboardInterrupt:  # most of the first second is spent on imports
    sys.exit(130)


def _refuse_special_file(_type: object, value: object) -> None:
    """A FIFO, a socket or a device blocks whoever opens it, in libraries that no signal interrupts."""
    for path in vars(value).values() if is_dataclass(value) else (value,):
        if isinstance(path, Path) and is_fleet_url(path):
            raise VprError(
                "expected a file, found the address of a fleet's map; `vpr fleet pull URL -o FILE` writes a part of it to a file"
            )
        if isinstance(path, (str, Path)):
            with suppress(OSError, ValueError):  # no such file: the command says so
                if stat.S_IFMT(Path(path).stat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
                    raise VprError(f"{path}: is a FIFO, a socket or a device; expected a file or a folder")


app = App(
    name="vpr",
    suppress_keyboard_interrupt=False,
    version=__version__,
    help_format="rich",
    default_parameter=Parameter(validator=_refuse_special_file),
    result_action="return_value",
    help="Visual place recognition: has the robot's camera been here before, and where is that?\n\n"
    "Three steps: [bold]vpr train[/] fits a model to images of the place, without labels; [bold]vpr map build[/] makes a map of them; "
    "[bold]vpr query[/] finds new images in the map.\n\n"
    "[bold]vpr view[/] shows map and matches in a browser. [bold]vpr demo[/] shows all of it, offline. [bold]vpr bench[/] says which encoder, method and descriptor size to use on your data, [bold]vpr plan[/] what they cost on this machine.",
)
app.register_install_completion_command()
app.command(train.train_command, name="train")
app.command(extract.extract_command, name="extract")
app.command(map.app)
app.command(fleet.app)
app.command(query.query_command, name="query")
app.command(view.view_command, name="view")
app.command(live.live_command, name="live")
app.command(replay.replay_command, name="replay")
app.command(eval.eval_command, name="eval")
app.command(pairs.pairs_command, name="pairs")
app.command(plan.plan_command, name="plan")
app.command(export.export_command, name="export")
app.command(bench.bench_command, name="bench")
app.command(data.app)
app.command(model.app)
app.command(bag.app)
app.command(doctor.doctor_command, name="doctor")
app.command(demo.demo_command, name="demo")


def main() -> None:
    """Runs the command. Exit codes: 0, or 1 after a user's mistake (one line on standard error), 2 after wrong options, 130 after Ctrl-C,
    143 after SIGTERM. A reader that closes standard output early, such as ``head``, is no error.
    """
    signal.signal(signal.SIGTERM, _end)
    sys.stdout, sys.stderr = (_writable(stream) for stream in (sys.stdout, sys.stderr))
    try:
        code = app(console=out, error_console=err, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        command = " ".join(("vpr", *(error.command_chain or ())))
        message = " ".join(str(error).split())
        message = message if message.endswith("...") else message.removesuffix(".")
        _fail(f"{message}; `{command} --help` explains the options", 2)
    except VprError as error:
        _fail(str(error), 1)
    except KeyboardInterrupt:
        _fail("interrupted; no half-written file was left", 130, "")
    except BrokenPipeError:
        _discard_output()
        sys.exit(0)
    except OSError as error:
        if error.filename is not None:
            raise
        _discard_output()
        _fail(f"standard output cannot be written ({error.strerror or error})", 1)
    sys.exit(code if isinstance(code, int) else 0)


def _writable(stream: TextIO | None) -> TextIO:
    """A standard stream that never raises on characters that it cannot encode; a sink if the stream is closed."""
    if stream is None:
        return Path(os.devnull).open("w")
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    return stream


def _fail(message: str, code: int, prefix: str = "error: ") -> None:
    message = re.sub(r"(postgres(ql)?:/+[^\s/@:]*):[^\s@]*@", r"\1@", message)  # no password of a fleet's map
    with suppress(OSError):  # standard error is full or closed: the exit code still tells
        print(f"{prefix}{printable(message)}", file=sys.stderr, flush=True)
    sys.exit(code)


def _discard_output() -> None:
    """Python flushes standard output once more when it ends; that must not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(number: int, _frame: object) -> None:
    """Like Ctrl-C, so that half-written files are removed on the way out. A second request must not disturb that."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)
