"""Tables of the bounds on every other class, and of the photographs."""

import pandas as pd

from experiments.documents.runs import committed, count, having, markdown, percent, setting
from experiments.papers.ours.runner_up import RunnerUp, by_experiment
from experiments.report.certified_accuracy import average_radius, rows_of
from experiments.runs.reader import sigma_of

DATA = ("digits_gaussian", "cifar10_jpeg_gaussian", "digits_uniform", "digits_ssn")


def runner_up() -> str:
    """The average certified radius with either bound on the runner-up."""
    figure = RunnerUp(list(DATA), classes=10)
    runs = [run for name in DATA for run in committed(name) if not figure.why_not(run)]
    table = figure.table(by_experiment(runs))
    rows = []
    for row in table[_shown(table)].to_dict("records"):
        acr = [f"{row[f'acr_{reading}']:.3f}" for reading in ("complement", "bounded")]
        abstained = [percent(row[f"abstained_{reading}"]) for reading in ("complement", "bounded")]
        rows.append(
            [
                f"{row['panel'].replace('cifar10 jpeg', 'JPEG copy of CIFAR-10')}, {row['sigma']:g}",
                *acr,
                ", ".join(abstained),
            ]
        )
    change = table["acr_bounded"] - table["acr_complement"]
    header = ["data, noise, sigma", "ACR, p_B <= 1 - p_A", "ACR, every other class bounded"]
    return (
        f"{markdown([*header, 'abstained, before and after'], rows)}\n"
        f"The ACR is larger at {(change > 0).sum()} of {len(table)} points. At the others it is smaller by at most "
        f"{-change.min():.4f}. The largest loss of one example is {table['largest_loss'].max():.3f}.\n"
    )


def _shown(table: pd.DataFrame) -> "pd.Series[bool]":
    """Gaussian noise, and of the others the networks without stability training at sigma = 1 and 2."""
    return (table["curve"] == "") | (table["curve"] == "stability = 0") & table["sigma"].isin([1, 2])


def photographs() -> str:
    """Photographs certified correctly, with and without a denoiser."""
    certify = {"certifier.type": "Certify"}
    runs = sorted(having("photos_gaussian", certify), key=lambda run: (setting(run, "certifier.n"), sigma_of(run)))
    rows = []
    for run in [*runs, *having("photos_denoised", certify)]:
        correct, radius = rows_of(run)
        name = "EfficientNet-Lite0" + ", denoiser before it" * (setting(run, "model.type") == "Denoised")
        wrong = int(((run.table["status"] == "certified") & ~correct).sum())
        abstained = int((run.table["status"] == "abstained").sum())
        counts = [f"{correct.sum()} of {len(correct)}", str(wrong), str(abstained)]
        n = count(setting(run, "certifier.n"))
        rows.append([name, f"{sigma_of(run):g}", n, *counts, f"{average_radius(correct, radius):.3f}"])
    return markdown(["network", "sigma", "n", "certified correctly", "certified wrongly", "abstained", "ACR"], rows)
