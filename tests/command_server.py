"""Runs `vpr` commands, each in a process that is forked from this one, which has imported the libraries: imports take most of a short command.
Standard input has a line of JSON for each command, standard output two answers: its process, and its exit code."""

import atexit
import gc
import importlib
import json
import os
import signal
import sys
import traceback

from vpr_aesvc.cli.main import main

_LIBRARIES = ("onnxruntime", "faiss", "cv2", "torch", "onnx", "sklearn.linear_model", "matplotlib.pyplot", "jinja2")


def run(command: dict) -> None:
    """Does not return. The process ends without the destructors of libraries, which wait for threads of the server."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, name in enumerate((os.devnull, command["out"], command["err"])):
        opened = os.open(name, os.O_RDWR)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in enumerate("rww"))
    os.chdir(command["cwd"])
    sys.argv = ["vpr", *command["words"]]
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # as the interpreter does
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def serve() -> None:
    for line in sys.stdin:
        child = os.fork()
        if not child:
            run(json.loads(line))
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    for library in _LIBRARIES:
        importlib.import_module(library)
    gc.freeze()
    serve()
