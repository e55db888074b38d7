"""Dummy results in the shape of a run: one that always abstains, a constant function's, and random numbers.

A dummy keeps the run's settings, examples and, unless it is random, seconds.
abstains   no class or center, no certificate
constant   the most frequent label for every example, with the largest radius that the samples certify; for outputs,
           distances of 0
random     random classes, counts, radii, distances and seconds, distributed alike for all runs of a drawing: up
           to the largest of any run
"""

from math import inf

import numpy as np
import torch

from experiments.runs.output_space import largest_distance
from experiments.runs.reader import StoredRun, sigma_of
from smoothing import Ablation, CenterDraws, Uniform
from smoothing.radii import largest_radius
from smoothing.statistics import clopper_pearson_lower

KINDS = ("abstains", "constant", "random")
FACES = {"_target_": "experiments.data.Digits"}  # instead of the photographs, which take long to read
PHOTOGRAPHS, IMAGES = 10, 5  # with draws
BOX = torch.tensor([30.0, 40.0, 120.0, 150.0])


def stored(folder, record, table, draws=None):
    """A run in memory."""
    run = StoredRun(folder, record)
    run.__dict__.update(table=table, draws=draws or {})
    return run


def dummies(runs, kind, seed=0, folder=None):
    """A dummy of each run of one drawing. Draws of images are written to a folder."""
    rng = np.random.default_rng(seed)
    largest = {name: largest_of(runs, name) for name in ("radius", "eps_out", "seconds")}
    return [dummy(run, kind, rng, largest, folder) for run in runs]


def largest_of(runs, name):
    values = np.concatenate([[0.0], *(run.table[name].to_numpy(float) for run in runs if name in run.table)])
    return float(values[np.isfinite(values)].max())


def dummy(run, kind, rng, largest, folder):
    table = run.table.copy()
    if kind == "random":
        table["seconds"] = rng.uniform(0, largest["seconds"], len(table))
    if "eps_in" in table:
        outputs(table, kind, rng, largest_distance(run) or largest["eps_out"])
    elif "factor" in table:
        attacks(table, kind, rng)
    else:
        classes(table, kind, rng, run, largest["radius"])
    metric = run.identity.get("metric", {}).get("type")
    kept = list(run.draws.items())[:PHOTOGRAPHS] if metric == "Jaccard" else []
    if folder:
        write_images(folder / "draws", kind, rng)
    draws = {index: boxes(draws, kind, rng) for index, draws in kept}
    record = run.record | {"config": run.record["config"] | ({"dataset": FACES} if draws else {})}
    return stored(folder or run.folder, record, table, draws)


def classes(table, kind, rng, run, largest):
    count, label = len(table), table["label"].to_numpy()
    names = max(10, label.max() + 1)
    chosen = {
        "abstains": np.full(count, -1),
        "constant": np.full(count, table["label"].mode().iloc[0]),
        "random": rng.integers(names, size=count),
    }[kind]
    if kind == "random" and run.identity["certifier"]["type"] == "Predict":
        chosen = np.where(rng.random(count) < rng.random(), -1, chosen)
    table["predict"], table["correct"] = chosen, chosen == label
    table["status"] = np.where(chosen < 0, "abstained", "certified")
    if "guess" in table:
        table["guess"] = chosen
    if "n_a" in table:
        n = table["n"].to_numpy()
        of = {"abstains": 0.5, "constant": 1.0}.get(kind, rng.uniform(0.5, 1, count))
        table["n_a"] = np.floor(n * of).astype(int)
        table["n_b"] = n - table["n_a"]
    if "radius" in table:
        radius = {"abstains": 0.0, "constant": most(run)}.get(kind, rng.uniform(0, largest, count))
        table["radius"] = np.where(chosen < 0, 0.0, radius)


def most(run):
    """The largest radius that the run's samples certify."""
    own, noise = run.identity["certifier"], run.identity["noise"]["type"]
    if own["type"] == "ExactCertify":
        return int(run.table["n"].max()) // 2 / run.table["levels"].iloc[0]
    if noise == "Gaussian":
        return largest_radius(sigma_of(run), own["n"], own["alpha"])
    if noise == "Ablation":
        kept = Ablation(run.identity["noise"]["keep"], (1, 28, 28))
        return kept.radius(clopper_pearson_lower(own["n"], own["n"], own["alpha"]))
    return Uniform(sigma_of(run)).lam * (2 * clopper_pearson_lower(own["n"], own["n"], own["alpha"]) - 1)


def attacks(table, kind, rng):
    count = len(table)
    attacked = {
        "abstains": np.zeros(count, bool),
        "constant": (table["label"] == table["label"].mode().iloc[0]).to_numpy(),
    }.get(kind, np.ones(count, bool))
    table["status"] = np.where(attacked, "attacked", "skipped")
    table["success"] = (rng.random(count) < rng.random()) & attacked & (kind == "random")


def outputs(table, kind, rng, largest):
    for column in ("eps_out", "smoothing_error", "distance_quantile"):
        random = rng.uniform(0, largest, len(table))
        table[column] = {"abstains": inf, "constant": 0.0}.get(kind, random)
    table["status"] = "abstained" if kind == "abstains" else "certified"


def boxes(kept, kind, rng):
    """Draws of the boxes of a face."""
    if kind == "abstains":
        return CenterDraws(BOX, BOX, 0.0, kept.n, 0, np.zeros(0), 0.0)
    if kind == "constant":
        return CenterDraws(BOX, BOX, 0.0, kept.n, kept.n, np.zeros(1000), 0.0)
    box = torch.tensor([*rng.uniform(0, 50, 2), *rng.uniform(60, 170, 2)], dtype=torch.float32)
    distances = np.sort(rng.uniform(0, 1, 1000))
    return CenterDraws(BOX, box, rng.random(), kept.n, kept.n, distances, rng.random())


def write_images(folder, kind, rng):
    """Draws of images as run_folder.save writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(IMAGES):
        base, center = np.full((2, 3, 4, 4), 0.5) if kind != "random" else rng.uniform(0, 1, (2, 3, 4, 4))
        inside, distances = (0, np.zeros(0)) if kind == "abstains" else (100, np.zeros(100))
        distances = np.sort(rng.uniform(0, 1, 100)) if kind == "random" else distances
        numbers = {"center_radius": 0.0, "n": 100, "inside": inside, "smoothing_error": 0.0, "seconds": 1.0}
        np.savez(folder / f"{index}.npz", base_output=base, center=center, distances=distances, **numbers)
