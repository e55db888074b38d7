"""Runs train and certify jobs, each in a fork of itself, and kills them at a chosen moment.

A fork starts at once where a new process would import torch for seconds, so that a hundred crashes are affordable.
Reads a job a line, as JSON, from stdin and answers each with a line:

    {"job": "certify", "overrides": [...], "die": null}     -> {"status": 0, "fsync": 9, "replace": 2}
    "die": {"call": "fsync", "number": 3, "when": "torn"}   -> {"status": -9, ...}; before, torn, after the third call
    "die": {"seconds": 0.25}                                -> killed from outside after so long, or done by then
    "die": {"call": "fsync", "number": 3, "when": "asked"}  -> SIGTERM, as an entry point takes it, at the third call
    "clock": true                                           -> the wall clock goes back a day at every look

status is the exit code, or minus the signal that killed. fsync and replace are the calls that were made, which every
byte that the program wants kept goes through. Torn means that the end of what was just written is not there.
"""

import json
import os
import signal
import stat
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import lightning_fabric  # noqa: F401  imported for the forks
import sklearn.datasets  # noqa: F401
from hydra import compose, initialize_config_dir

from experiments.certifying import certification
from experiments.config.check import checked
from experiments.config.schema import register
from experiments.config.settings import Settings
from experiments.machine.stopping import sigterm_finishes_first
from experiments.runs import run_folder
from experiments.training import loop

CONF = Path(__file__).parents[3] / "conf"
CALLS = ("fsync", "replace")


def count_and_die(die, counts):
    """Count calls of os.fsync and os.replace, and kill the process at one of them."""

    def wrap(name):
        original = getattr(os, name)

        def called(*arguments):
            counts[name] += 1
            here = die and die.get("call") == name and die["number"] == counts[name]
            if here and die["when"] == "asked":
                os.kill(os.getpid(), signal.SIGTERM)
            elif here and die["when"] != "after":
                if die["when"] == "torn":
                    tear(arguments[0], counts[name])
                os.kill(os.getpid(), signal.SIGKILL)
            original(*arguments)
            if here and die["when"] == "after":
                os.kill(os.getpid(), signal.SIGKILL)

        return called

    for name in CALLS:
        setattr(os, name, wrap(name))


def tear(descriptor, number):
    """Cut a varying number of bytes off the end of a file; leave folders alone."""
    state = os.fstat(descriptor)
    if stat.S_ISREG(state.st_mode):
        os.ftruncate(descriptor, max(0, state.st_size - (1 + 7 * number % 40)))


class BackwardClock(datetime):
    """A clock that goes back one day at every call."""

    looks = 0

    @classmethod
    def now(cls, tz=UTC):
        cls.looks += 1
        return datetime(2030, 1, 1, tzinfo=tz) - timedelta(days=cls.looks)


def run(job, answer):
    """In the fork: run the job, then report its counts. Exits with 1 on an error, like the entry points."""
    counts = dict.fromkeys(CALLS, 0)
    count_and_die(job["die"], counts)
    if job.get("clock"):
        run_folder.datetime = BackwardClock
        time.time = lambda: BackwardClock.now().timestamp()
    script = {"certify": certification.certify, "train": loop.train}[job["job"]]
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            plain = checked(compose(job["job"], job["overrides"]), Settings)
        with sigterm_finishes_first():
            script(plain)
    except SystemExit as error:
        os._exit(error.code)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os.write(answer, json.dumps(counts).encode())
    os._exit(0)


def forked(job):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)  # stdout is reserved for answers
        run(job, writing)
    os.close(writing)
    if job["die"] and "seconds" in job["die"]:
        time.sleep(job["die"]["seconds"])
        os.kill(child, signal.SIGKILL)
    counts = os.read(reading, 1000)
    os.close(reading)
    _, status = os.waitpid(child, 0)
    return {"status": os.waitstatus_to_exitcode(status)} | (json.loads(counts) if counts else {})


if __name__ == "__main__":
    register()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(forked(json.loads(line))), flush=True)
