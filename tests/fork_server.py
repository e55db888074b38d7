"""Commands in forks of one process that has already imported torch, so that a command starts at once.

    python tests/fork_server.py SOCKET

Serves `tests/python`, which stands in for `python` and sends its arguments, folder, environment and standard streams.
The fork runs a script, a module (-m), a string (-c) or what stands on stdin (-), as Python itself would.
"""

import json
import os
import runpy
import signal
import socket
import sys
import traceback
from pathlib import Path

import lightning_fabric  # noqa: F401  imported for the forks
import matplotlib.pyplot  # noqa: F401
import sklearn.datasets  # noqa: F401
import torch  # noqa: F401

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import experiments.certifying.certification  # noqa: E402
import experiments.training.loop  # noqa: E402, F401


def serve(path):
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # finished forks leave no zombies
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                answer(connection)
            connection.close()


def answer(connection):
    """Run a command in this fork and report its exit code."""
    content, streams, _, _ = socket.recv_fds(connection, 2**20, 3)
    asked = json.loads(content)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    code = 0
    try:
        run(asked["arguments"])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    connection.sendall(bytes([code]))
    os._exit(0)


def run(arguments):
    """Do what `python <arguments>` does."""
    places = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    sys.path[:] = [*places, *(place for place in sys.path if place not in (str(ROOT), str(ROOT / "tests")))]
    kind, *rest = arguments
    if kind == "-m":
        sys.argv = [rest[0], *rest[1:]]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind in ("-c", "-"):
        sys.argv = [kind, *rest[1:]]
        sys.path.insert(0, "")
        code = rest[0] if kind == "-c" else sys.stdin.read()
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = [kind, *rest]
        sys.path.insert(0, str(Path(kind).resolve().parent))
        runpy.run_path(kind, run_name="__main__")


if __name__ == "__main__":
    serve(sys.argv[1])
