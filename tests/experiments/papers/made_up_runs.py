"""Made-up runs of the experiments that were not run here, in memory: their settings and examples, with any numbers."""

from pathlib import Path

import numpy as np
import pandas as pd
from dummies import stored

from smoothing import DeterministicSplitting

IN_MEMORY = Path("results/none/run")
NAMES = {"Uniform": "uniform", "Splitting": "ssn", "DeterministicSplitting": "dssn"}
DEVICE = "one machine"
PUBLISHED = "_published"


def record(name, dataset, model, noise, certifier, **more):
    identity = {
        "dataset": {"type": dataset},
        "model": {"type": model},
        "noise": noise,
        "certifier": certifier,
        "seed": 0,
    }
    identity["training"] = {"noise": noise} | more.pop("training", {})
    config = {"name": name} | more.pop("config", {})
    return {"identity": identity | more, "config": config, "started": "2026-01-01", "device": DEVICE}


def labelled(count, classes, seconds, **columns):
    rng = np.random.default_rng(count + classes)
    label = rng.integers(classes, size=count)
    predict = np.where(rng.random(count) < 0.6, label, rng.integers(classes, size=count))
    table = pd.DataFrame({"index": range(count), "label": label, "predict": predict, "correct": predict == label})
    return table.assign(status="certified", seconds=seconds, **columns)


def gaussian(dataset, sigma, certifier="Certify", n=100_000, seconds=1.0, trained=None, classes=10, published=""):
    """A run of <data set>_gaussian on 500 examples. Attacks are on 100 of them."""
    noise, name = {"type": "Gaussian", "sigma": sigma}, f"{dataset.lower()}_gaussian{published}"
    own = {"type": certifier, "n": n, "alpha": 0.001} | ({"n0": 100} if certifier == "Certify" else {})
    training = {"noise": noise | {"sigma": trained or sigma}}
    table = labelled(500 if certifier != "Attack" else 100, classes, seconds)
    if certifier == "Certify":
        table = table.assign(radius=sigma, guess=table["predict"], n_a=n, n_b=0, n=n)
    if certifier == "Attack":
        table = pd.concat([table.assign(factor=factor, success=False) for factor in (1.0, 1.5, 2.0)])
    return stored(IN_MEMORY, record(name, dataset, "ResNet", noise, own, training=training), table)


def l1(dataset, kind, sigma, stability=0.0, seconds=1.0):
    """A run under an l1 noise on 500 images with 255 levels."""
    noise, exact = {"type": kind, "sigma": sigma}, kind == "DeterministicSplitting"
    n = DeterministicSplitting(sigma, 255, (3, 4, 4)).steps if exact else 100_000
    own = {"type": "ExactCertify"} if exact else {"type": "Certify", "n0": 64, "n": n, "alpha": 0.001}
    table = labelled(500, 10, seconds, radius=sigma, n_a=n, n_b=0, n=n)
    table = table.assign(levels=255) if exact else table.assign(guess=table["predict"], n0=64)
    name = f"{dataset.lower()}_{NAMES[kind]}"
    made = record(name, dataset, "ResNet", noise, own, training={"noise": noise, "stability": stability})
    return stored(IN_MEMORY, made, table)


def center(name, dataset, model, metric, sigma, seconds, folder=IN_MEMORY):
    """A run of center smoothing at h = 1 and 1.5 on 20 inputs."""
    own = {"type": "CenterSmoothing", "n": 10_000, "m": 1_000_000, "delta": 0.05, "bound": "paper"}
    config = {
        "dataset": {"_target_": f"experiments.data.{dataset}"},
        "metric": {"_target_": f"smoothing.metrics.{metric}"},
    }
    made = record(
        name, dataset, model, {"type": "Gaussian", "sigma": sigma}, own, config=config, metric={"type": metric}
    )
    row = {"eps_out": sigma, "smoothing_error": 0.1 * sigma, "distance_quantile": 0.1 * sigma, "status": "certified"}
    rows = [{"index": i, "eps_in": h * sigma, "seconds": seconds} | row for h in (1.0, 1.5) for i in range(20)]
    return stored(folder, made, pd.DataFrame(rows))


def by_method(method):
    """A run of a training method on 500 images."""
    run = gaussian("MNIST", 1.0)
    run.record["identity"]["training"] |= {"type": f"{method}Trainer", "epochs": 90}
    return run


def every_drawing():
    """The runs of each drawing, by figure."""
    sigmas, l1_sigmas, kinds = (0.25, 0.5, 1.0), (0.15, 1.0, 3.5), list(NAMES)
    imagenet = [gaussian("ImageNet", sigma, classes=1000) for sigma in sigmas]
    predicted = [gaussian("ImageNet", 0.25, "Predict", n, classes=1000) for n in (100, 1000, 10_000, 100_000)]
    attacked = [gaussian("ImageNet", 0.25, "Attack", classes=1000)]
    times = (("CIFAR10", "Certify", 100_000, 15.0), ("ImageNet", "Certify", 100_000, 110.0))
    times += (("ImageNet", "Predict", 100, 0.15), ("ImageNet", "Predict", 10_000, 15.0))
    timed = [gaussian(data, 0.25, of, n, seconds, published=PUBLISHED) for data, of, n, seconds in times]
    trained = [gaussian("CIFAR10", 0.5, trained=sigma) for sigma in sigmas]
    cifar10 = [l1("CIFAR10", kind, sigma, stability) for kind in kinds for sigma in l1_sigmas for stability in (0, 6)]
    table = [run for run in cifar10 if run.identity["noise"]["type"] != "Splitting"]
    seconds = {"Uniform": 13.44, "Splitting": 13.44, "DeterministicSplitting": 0.41}
    l1_timed = [l1("CIFAR10", kind, sigma, 0, seconds[kind] * sigma / 3.5) for kind in kinds for sigma in l1_sigmas]
    seven = [l1("ImageNet", kind, 3.5, s) for kind in (kinds[0], kinds[2]) for s in (0, 6)]
    images = [center("imagenet_lpips", "Latents", "BigGAN", "LPIPS", sigma, 180.0) for sigma in (0.01, 0.02, 0.03)]
    mnist = center("mnist_tvd", "MNIST", "Autoencoder", "TotalVariation", 0.1, 60.0)
    return {
        "cohen_table_imagenet": imagenet,
        "cohen_table_cifar10": [gaussian("CIFAR10", sigma) for sigma in (0.12, *sigmas)],
        "cohen_high_probability": imagenet,
        "cohen_training_noise": trained,
        "cohen_predict": predicted,
        "cohen_attack": attacked,
        "cohen_time": timed,
        "center_generator": images,
        "center_generator_images": images[1:2],
        "center_time": [*images, mnist],
        "dssn_table_cifar10": table,
        "dssn_methods": [run for run in cifar10 if run.identity["training"]["stability"]],
        "dssn_imagenet": seven,
        "dssn_time": l1_timed,
        "training_curves_mnist": [by_method(name) for name in ("Consistency", "SmoothAdv", "SmoothMix")],
    }
