"""A sweep on a real Slurm: three sigmas by four shards, one job killed, one preempted; merged, it is a local run.

The experiment and the network are of a user's folder outside the clone. The network waits in the middle of its examples
until a file is there, so every job is in the middle when it is killed, however fast the machine.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from experiments.report.terminal import terminal_table
from experiments.runs.reader import find_runs

pytestmark = pytest.mark.slurm

ROOT = Path(__file__).parents[2]
SIGMAS, SHARDS = ("0.25", "0.5", "1.0"), 4
GATED = ("--config-dir=conf", "experiment=gated", f"noise.sigma={','.join(SIGMAS)}", "device=cpu")
EXAMPLES = 80  # 20 rows a shard
EXPERIMENT = f"""
# @package _global_
defaults:
  - override /dataset: digits
  - override /model: null
  - override /trainer: digits
  - override /certifier: certify
  - override /metric: null
name: gated
model:
  _target_: gated.Gated
trainer:
  epochs: 10
certifier:
  n: 2000
batch_size: 250
limit: {EXAMPLES}
"""
NETWORK = """
import time
from pathlib import Path

from torch import nn

from models.classifiers import SmallCNN


class Gate(nn.Module):
    calls = 0

    def forward(self, x):
        Gate.calls += not self.training
        while Gate.calls > 80 and not Path("go").exists():  # of about 9 calls a row
            time.sleep(0.1)
        return x


class Gated(SmallCNN):
    def __init__(self, num_classes, in_channels, mean, std):
        super().__init__(num_classes, in_channels, mean, std)
        self.layers.append(Gate())
"""
NO_GPU = ("hydra.launcher.gpus_per_node=null", "hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=null")
SLURM = ("hydra/launcher=slurm", "hydra.launcher.timeout_min=30", "hydra.launcher.array_parallelism=3", *NO_GPU)
NEEDED = ("slurmctld", "slurmd", "munged")
PATIENCE = 900  # seconds


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The environment in which Slurm's commands reach a cluster of one node."""
    if os.geteuid() != 0:
        pytest.skip("not root: munged and slurmd cannot be started")
    if not all(map(shutil.which, NEEDED)):
        if not shutil.which("apt-get"):
            pytest.skip("no Slurm here, and no apt-get to install it")
        install = "apt-get update && apt-get install --yes --no-install-recommends slurm-wlm munge"
        if subprocess.run(install, shell=True, capture_output=True, check=False).returncode:
            pytest.skip("Slurm cannot be installed here: apt-get install slurm-wlm munge failed")
    folder = tmp_path_factory.mktemp("slurm")
    command = [str(Path(__file__).with_name("one_node_cluster.sh")), str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    yield os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "OMP_NUM_THREADS": "1"}
    process.stdin.close()
    process.wait(timeout=60)
    for daemon in NEEDED:
        assert not subprocess.run(["pgrep", "-f", f"{daemon}.*{folder}"], capture_output=True, check=False).stdout


def typed(script, *arguments):
    return [sys.executable, str(ROOT / script), "-m", *GATED, *arguments]


def until(happens, what, alive=None):
    """Wait for something; its value. Fails where the sweep, if it is given, ends first."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := happens():
            return found
        assert alive is None or alive.poll() is None, f"the sweep ended before {what}:\n{alive.communicate()}"
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for {what}")


def begun_jobs(results):
    """(job id, table, number of rows) of the jobs that hold a lock and have written some rows."""
    found = []
    for lock in results.rglob("certificates.*.lock"):
        table = lock.with_suffix(".csv")
        job = re.search(r'"Slurm job": "(\w+)"', lock.read_text())
        if job and table.exists() and (rows := len(table.read_text().splitlines()) - 1) >= 1:
            found.append((job[1], table, rows))
    return found


def test_a_sweep_killed_and_queued_again_is_a_local_run(cluster, tmp_path, request):
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "gated.yaml").write_text(EXPERIMENT.strip())
    (tmp_path / "gated.py").write_text(NETWORK)
    here = {"cwd": tmp_path, "env": cluster | {"PYTHONPATH": "."}, "text": True}

    def slurm(*command):
        return subprocess.run(command, env=cluster, capture_output=True, text=True, check=True).stdout

    def state(job):
        return re.search(r"JobState=(\w+)", slurm("scontrol", "show", "job", job))[1]

    def jobs():
        listing = slurm("scontrol", "show", "job", "--oneliner")
        fields = r"ArrayJobId=(\d+) ArrayTaskId=(\d+) .*?JobState=(\w+) .*?Restarts=(\d+).*?RunTime=(\S+)"
        return sorted((f"{a}_{t}", s, int(r), ran) for a, t, s, r, ran in re.findall(fields, listing))

    checkpoints = "checkpoints.root=checkpoints"
    done = subprocess.run(typed("train.py", *SLURM, checkpoints), capture_output=True, check=False, **here)
    assert done.returncode == 0, done.stdout + done.stderr
    print("\ntrain.py, three sigmas:", *(" ".join(map(str, job)) for job in jobs()), sep="\n  ")
    assert len(list((tmp_path / "checkpoints").glob("*/checkpoint.json"))) == len(SIGMAS)
    trained = {job for job, *_ in jobs()}

    results = tmp_path / "results"
    shards = (f"shard.count={SHARDS}", f"shard.index=range({SHARDS})")
    command = typed("certify.py", *SLURM, *shards, checkpoints, "results.root=results")
    sweep = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **here)
    request.addfinalizer(sweep.kill)  # where a check fails: it would wait for its jobs for ever

    (killed, table, rows), *_ = until(lambda: begun_jobs(results), "a job was in the middle", sweep)
    slurm("scancel", killed)
    until(lambda: state(killed) == "CANCELLED", f"{killed} was gone", sweep)
    left = table.read_text()
    print(f"scancel {killed}: at {rows} rows of {table.parent.name}/{table.name}; {state(killed)}")
    assert len(left.splitlines()) - 1 < EXAMPLES / SHARDS, "the gate holds every job in the middle"

    def others():
        return [job for job in begun_jobs(results) if job[0] != killed]

    (announced, other, rows), *_ = until(others, "another job was in the middle", sweep)
    # What Slurm sends before a time limit or a preemption. scancel goes on trying when the job has left already.
    sender = subprocess.Popen(["scancel", "--signal=USR2", announced], env=cluster)
    until(lambda: state(announced) == "PENDING", f"{announced} had queued itself again", sweep)
    sender.kill()
    sender.wait()
    print(f"USR2 to {announced}: at {rows} rows of {other.parent.name}/{other.name}; it queued itself again")

    (tmp_path / "go").touch()
    slurm("scontrol", "requeue", killed)
    for job in (killed, announced):  # Slurm has a job that is queued again wait for two minutes
        slurm("scontrol", "update", f"JobId={job}", "StartTime=now")
    out, _ = sweep.communicate(timeout=PATIENCE)
    assert sweep.returncode == 0, out
    table_of_jobs = out[out.index("\njob  settings") :]
    print(table_of_jobs)
    assert len(re.findall(r"^#\d+ .* 20 .* results/gated/[\w-]+sigma", table_of_jobs, flags=re.MULTILINE)) == 12
    assert table.read_text().startswith(left), "what the killed job had written stays"

    def ended():
        """The jobs of certify.py, once Slurm says that all have ended. The sweep has the results a moment earlier."""
        found = [job for job in jobs() if job[0] not in trained]
        return found if "RUNNING" not in {s for _, s, *_ in found} else []

    certified = until(ended, "every job had ended")
    print("certify.py, three sigmas by four shards:", *(" ".join(map(str, job)) for job in certified), sep="\n  ")
    assert len(certified) == len(SIGMAS) * SHARDS
    assert {s for _, s, *_ in certified} == {"COMPLETED"}
    assert {job for job, _, restarts, _ in certified if restarts} == {killed, announced}

    local = tmp_path / "local"
    command = typed("certify.py", checkpoints, f"results.root={local}")
    subprocess.run(command, capture_output=True, check=True, **here)
    ours, theirs = find_runs(results / "gated"), find_runs(local / "gated")
    assert len(ours) == len(theirs) == len(SIGMAS)
    for run, reference in zip(ours, theirs, strict=True):
        assert run.folder.name == reference.folder.name
        assert len(list(run.folder.glob("certificates.*-of-4.csv"))) == SHARDS
        assert not list(run.folder.glob("*.lock")) + list(run.folder.rglob("*.partial"))
        assert len(run.table) == EXAMPLES
        pd.testing.assert_frame_equal(run.table.drop(columns="seconds"), reference.table.drop(columns="seconds"))
        print(f"\n{run.folder.name}: {len(run.table)} rows of 4 shards, equal to the local run's but for seconds")
        print(terminal_table(run.folder))
