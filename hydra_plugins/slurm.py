"""A Hydra launcher for Slurm: submitit's launcher, but it waits for every job, even if some fail, and prints one table.

Hydra finds launchers only in the package hydra_plugins, and imports this file whenever it starts.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

if TYPE_CHECKING:
    from experiments.config.sweep import Outcome

try:
    from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
    from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher
except ImportError:  # the extra "slurm" is not installed
    pass
else:

    class SlurmTableLauncher(SlurmLauncher):
        """Submits one job per point, all in one array, and waits for all of them.

        Args:
            cluster: submitit's name of the executor; tests use others than slurm.
            params: see conf/hydra/launcher/slurm.yaml.
        """

        def __init__(self, cluster: str = "slurm", **params: Any) -> None:
            super().__init__(**params)
            self._EXECUTOR = cluster

        def __call__(self, *args: Any) -> JobReturn:
            from experiments.config.schema import register  # this runs in a new process, without the schemas

            register()
            return super().__call__(*args)

        def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
            """Run all points and print a table of them. Exits with 1 if any fails."""
            from experiments.config.command_line import SUITE
            from experiments.config.sweep import report

            paths = [str(SUITE), *filter(None, [os.environ.get("PYTHONPATH")])]
            os.environ["PYTHONPATH"] = os.pathsep.join(paths)  # the script's folder, as on this machine

            points = [list(point) for point in job_overrides]
            numbers = range(initial_job_idx, initial_job_idx + len(points))
            arguments = [
                (point, "hydra.sweep.dir", number, f"job_id_for_{number}", Singleton.get_state())
                for point, number in zip(points, numbers, strict=True)
            ]
            jobs = self._submitted(arguments)
            outcomes = []
            for number, point, job in zip(numbers, points, jobs, strict=True):
                print(f"#{number} {' '.join(point)}: job {job.job_id}; {job.paths.stdout}", flush=True)
            for number, point, job in zip(numbers, points, jobs, strict=True):
                outcomes.append(_outcome(point, job))
                print(f"#{number} {' '.join(point)}: {outcomes[-1].error or 'done'}", flush=True)
            print(f"\n{report(outcomes)}", flush=True)
            if any(outcome.error for outcome in outcomes):
                sys.exit(1)
            return [JobReturn(overrides=point, status=JobStatus.COMPLETED) for point in points]

        def _submitted(self, arguments: Sequence[Any]) -> Any:
            """The jobs. Raises SettingError if sbatch does not take them, as on a machine without a cluster."""
            from submitit.core.utils import FailedJobError

            from smoothing import SettingError

            try:
                with redirect_stderr(StringIO()):  # to which submitit copies what sbatch says
                    return self._executor().map_array(self, *zip(*arguments, strict=True))
            except (FailedJobError, RuntimeError) as error:
                lines = str(error).strip().splitlines() or [type(error).__name__]
                raise SettingError(
                    f"sbatch failed: {lines[-1]}; without a cluster, hydra/launcher=local_parallel runs here"
                ) from error

        def _executor(self) -> Any:
            """Submitit's executor with the launcher's parameters. Parameters of Slurm alone get the prefix slurm_."""
            import submitit

            assert self.config is not None
            Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
            own = {"submitit_folder", "max_num_timeout"}
            shared = set(OmegaConf.structured(BaseQueueConf).keys())
            tries = {"slurm_max_num_timeout": self.params["max_num_timeout"]}
            executor = submitit.AutoExecutor(folder=self.params["submitit_folder"], cluster=self._EXECUTOR, **tries)
            given = {name: value for name, value in self.params.items() if name not in own}
            executor.update_parameters(
                **{name if name in shared else f"slurm_{name}": value for name, value in given.items()}
            )
            return executor


def _outcome(overrides: list[str], job: Any) -> "Outcome":
    """Wait for a job and return its outcome."""
    from experiments.config.sweep import Outcome

    try:
        outcome: Outcome = job.results()[0].return_value
    except Exception:  # killed, never started, or an invalid configuration
        lines = (job.stderr() or "").strip().splitlines() or [f"state {job.state}"]
        return Outcome(overrides, error=f"{lines[-1]} (job {job.job_id}, {job.paths.stderr})")
    return Outcome(overrides, outcome.results, outcome.error)
