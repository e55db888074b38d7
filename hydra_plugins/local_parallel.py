"""A Hydra launcher for one machine: it runs the points of a sweep in parallel, one GPU per job.

Hydra finds launchers only in the package hydra_plugins, and imports this file whenever it starts.
"""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from experiments.config.sweep import Outcome

LOOK_EVERY = 0.2  # seconds
TERMINATED = 128 + signal.SIGTERM
OF_THE_SWEEP = ("hydra/launcher", "hydra.launcher", "hydra/sweeper", "hydra.sweep", "hydra.mode")  # not for jobs


@dataclass
class Job:
    """The process of one point of the sweep."""

    number: int
    overrides: list[str]
    process: "subprocess.Popen[bytes]"
    gpu: str
    log: Path
    terminated: bool = False

    @property
    def name(self) -> str:
        return f"#{self.number} {' '.join(self.overrides)}"


class LocalParallelLauncher(Launcher):
    """Starts the command once per point, as one would by hand, and waits for all of them.

    The output of a job goes to <hydra.sweep.dir>/<number of the point>.log. SIGTERM and Ctrl-C stop all running jobs in
    the usual way, and no further jobs start. To resume, run the same sweep again.

    Args:
        gpus: the GPUs to use, with their names in CUDA_VISIBLE_DEVICES; null: all that this process may use.
        jobs: jobs at the same time, over all GPUs; null: one per GPU, or one per core without GPUs.
    """

    def __init__(self, gpus: Sequence[int | str] | None = None, jobs: int | None = None) -> None:
        self._gpus, self._jobs = gpus, jobs
        self._sweep_dir = Path()
        self._options: list[str] = []
        self._running: list[Job] = []
        self._stopped = False

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        # Imported here because Hydra imports this file for every command.
        from experiments.config.command_line import options, search_path

        hydra = config.hydra
        words = [word for word in hydra.overrides.hydra if not word.lstrip("+~").startswith(OF_THE_SWEEP)]
        others = [word for word in words if word not in search_path(hydra)]  # `options` includes these
        self._sweep_dir = Path(str(hydra.sweep.dir))
        self._options = [*options(hydra), *others]

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Run all points and print a table of them. Exits with 1 if any fails, with 143 after SIGTERM."""
        from experiments.config.sweep import report

        gpus = [str(gpu) for gpu in self._gpus] if self._gpus is not None else visible_gpus()
        cores = len(os.sched_getaffinity(0))
        at_once = self._jobs if self._jobs is not None else len(gpus) or cores
        if at_once < 1:
            sys.exit(f"hydra.launcher.jobs: expected at least 1, got {self._jobs}")
        free = deque(gpus[number % len(gpus)] if gpus else "" for number in range(at_once))
        threads = str(max(1, cores // at_once))
        waiting = deque(enumerate(job_overrides, initial_job_idx))
        self._sweep_dir.mkdir(parents=True, exist_ok=True)
        before = signal.signal(signal.SIGTERM, self._stop)
        try:
            outcomes = self._run_all(waiting, free, threads)
        except KeyboardInterrupt:  # the terminal also sends it to the jobs
            for job in self._running:
                job.process.wait()
            raise
        finally:
            signal.signal(signal.SIGTERM, before)
        if self._stopped:
            print(f"{Path(sys.argv[0]).name}: stopped by SIGTERM; run the same command to resume", file=sys.stderr)
            sys.exit(TERMINATED)
        print(f"\n{report([outcomes[number] for number in sorted(outcomes)])}", flush=True)
        if any(outcome.error for outcome in outcomes.values()):
            sys.exit(1)
        return [JobReturn(overrides=list(point), status=JobStatus.COMPLETED) for point in job_overrides]

    def _run_all(
        self, waiting: "deque[tuple[int, Sequence[str]]]", free: "deque[str]", threads: str
    ) -> "dict[int, Outcome]":
        """Start points on GPUs as they become free, and wait for all. After SIGTERM no further ones start.

        Args:
            waiting: number and overrides of each point.
            free: a GPU for each job that may run at the same time; empty text: none.
            threads: CPU threads of each job.

        Returns:
            The outcomes by number.
        """
        outcomes: dict[int, Outcome] = {}
        while self._running or (waiting and not self._stopped):
            while waiting and free and not self._stopped:
                self._start(*waiting.popleft(), free.popleft(), threads)
            time.sleep(LOOK_EVERY)
            if self._stopped:
                self._terminate()
            for job in [job for job in self._running if job.process.poll() is not None]:
                self._running.remove(job)
                free.append(job.gpu)
                outcome = outcomes[job.number] = _outcome(job)
                print(f"{job.name}: {outcome.error or 'done'}", flush=True)
        return outcomes

    def _start(self, number: int, overrides: Sequence[str], gpu: str, threads: str) -> None:
        environment = {"OMP_NUM_THREADS": threads} | os.environ
        if gpu:
            environment["CUDA_VISIBLE_DEVICES"] = gpu
        log = self._sweep_dir / f"{number}.log"
        command = [sys.executable, sys.argv[0], *self._options, *overrides]
        with log.open("wb") as file:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
            )
        job = Job(number, list(overrides), process, gpu, log)
        print(f"{job.name}: started{f' on GPU {gpu}' if gpu else ''}; {log}", flush=True)
        self._running.append(job)

    def _terminate(self) -> None:
        """Send SIGTERM to each running job, once."""
        for job in self._running:
            if not job.terminated:
                job.terminated = True
                job.process.terminate()

    def _stop(self, number: int, frame: FrameType | None) -> Any:
        self._stopped = True  # the loop terminates the jobs: here, one that is just being started would be missed


def visible_gpus() -> list[str]:
    """The GPUs in CUDA_VISIBLE_DEVICES, or the numbers of all GPUs if it is not set."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return [gpu for gpu in allowed.split(",") if gpu]
    import torch  # here, because Hydra imports this file for every command

    return [str(number) for number in range(torch.cuda.device_count())]


def _outcome(job: Job) -> "Outcome":
    from experiments.config.sweep import Outcome, results_in

    printed = job.log.read_text(errors="replace")
    if not job.process.returncode:
        return Outcome(job.overrides, results_in(printed))
    lines = printed.strip().splitlines() or [""]
    script = f"{Path(sys.argv[0]).name}: "
    said = [line for line in lines if line.startswith(script)] if job.process.returncode > 0 else []
    error = (said or lines)[-1].removeprefix(script)
    return Outcome(job.overrides, error=f"exit code {job.process.returncode}: {error} ({job.log})")
