"""What is run on the pretended devices: every certifier, noise and metric that `smoothing` exports, and special cases.

A case is a function of a device that returns what was certified. Each makes its own inputs and networks.
"""

import gc
import inspect
from functools import partial
from unittest.mock import patch

import torch
from functions import CELLS, LEVELS, OUTPUTS, VOTES, Features, FeaturesOfLPIPS, Network, Product, image, images

import smoothing
from smoothing import FiniteNoise, Metric, Noise
from smoothing.combining import combining
from smoothing.cursor import noisy_inputs
from smoothing.metrics import lpips
from smoothing.streams import Stage, Stream

EPS = 0.05
DEVICES = "cuda:0", "cuda:1"

NOISES = {
    "Ablation": [lambda: smoothing.Ablation(40, (1, 8, 8))],
    "BandAblation": [lambda: smoothing.BandAblation(5, (1, 8, 8))],
    "BlockAblation": [lambda: smoothing.BlockAblation(6, (1, 8, 8))],
    "Gaussian": [lambda: smoothing.Gaussian(0.5), lambda: smoothing.Gaussian(0.5, grid=LEVELS)],
    "Uniform": [lambda: smoothing.Uniform(0.5), lambda: smoothing.Uniform(0.5, grid=LEVELS)],
    "Splitting": [lambda: smoothing.Splitting(0.5, LEVELS)],
    "DeterministicSplitting": [lambda: smoothing.DeterministicSplitting(1.0, LEVELS, (1, 8, 8))],
}

PLAIN, ON_GRID = NOISES["Gaussian"]
(FINITE,) = NOISES["DeterministicSplitting"]
CENTER = {"n": 32, "m": 32, "alpha1": 0.1, "alpha2": 0.1}
CONFORMAL = {"n": 90, "alpha": 0.8, "beta": 0.1, "held_out": 2}
CERTIFIERS = {
    "Certify": {"n0": 20, "n": 90, "alpha": 0.01},
    "Predict": {"n": 90, "alpha": 0.01},
    "Adaptive": {"n0": 20, "n": 150, "alpha": 0.01, "mode": "radius", "tolerance": 0.05},
    "Attack": {"n0": 20, "n": 90, "alpha": 0.01, "factors": [1.0], "steps": 2, "samples": 70},
    "ExactCertify": {},
    "CenterSmoothing": {**CENTER, "delta": 0.35},
    "CenterSmoothingHD": {**CENTER, "delta": 0.35, "candidates": 10},
    "BalancedCenterSmoothing": {**CENTER, "q": 0.6, "rho": 1.0},
    "ExactCenterSmoothing": {},
    "ExactBalancedCenterSmoothing": {"q": 0.6, "rho": 1.0},
    "MedianSmoothing": {"n": 90, "alpha": 0.1},
    "MeanSmoothing": {"n": 90, "alpha": 0.1, "low": -2.0, "high": 2.0},
    "ExactMedianSmoothing": {},
    "ExactMeanSmoothing": {"low": -2.0, "high": 2.0},
    "SegmentSmoothing": {"n0": 20, "n": 90, "alpha": 0.1},
    "ConformalSets": CONFORMAL,
    "ExactConformalSets": {"alpha": 0.8, "held_out": 2},
    "ConformalAttack": {
        "n": 90,
        "alpha": 0.8,
        "beta": 0.1,
        "held_out": 2,
        "radii": [0.0, 0.1],
        "steps": 2,
        "copies": 70,
    },
}
WITHOUT_METRIC = {"SegmentSmoothing": CELLS}  # what f answers with, if not votes
ARGUMENTS = {"FiniteSpace": [[[0, 1, 2], [1, 0, 1], [2, 1, 0]]], "LPIPS": ["random"]}


def metric_of(name):
    arguments = [Features()] if name == "FeatureDistance" else ARGUMENTS.get(name, [])
    return getattr(smoothing, name)(*arguments)


def exported(kind):
    """The classes of a kind that can be used as they are."""
    found = (getattr(smoothing, name) for name in smoothing.__all__)
    return [each for each in found if inspect.isclass(each) and issubclass(each, kind) and not inspect.isabstract(each)]


def cases_of(certifier):
    """Its cases under each noise and with each metric: (name, case, devices).

    To save time, most pairs of a noise and a metric have a callable on the second device, which is not the current one.
    """
    for number, noise in enumerate(noises := exported(Noise)):
        for k, make_noise in enumerate(NOISES[noise.__name__]):
            if not fits(certifier, noise):
                continue
            name = f"{certifier.__name__} {noise.__name__}{' with grid' if k else ''}"
            if "metric" not in inspect.signature(certifier).parameters:
                yield name, partial(certified, certifier, make_noise, Network), DEVICES
                continue
            for place, metric in enumerate(exported(Metric)):
                function = Network if exact(certifier) or place % len(noises) == number else Product
                case = partial(certified, certifier, make_noise, function, metric.__name__)
                yield f"{name} {metric.__name__}", case, DEVICES if function is Network else DEVICES[1:]


def exact(certifier):
    return certifier.__name__.startswith("Exact")


def fits(certifier, noise):
    if exact(certifier):
        return issubclass(noise, FiniteNoise)
    return certifier not in (smoothing.Attack, smoothing.ConformalAttack) or noise.threat_norm == "l2"


def made(certifier, make_noise, function, metric, device, **options):
    """A certifier. `function` is Network or Product, and `metric` the name of one; None for votes."""
    metrics = [metric_of(metric)] if metric else []
    f = function(*OUTPUTS[metric] if metric else WITHOUT_METRIC.get(certifier.__name__, VOTES)).to(device)
    return certifier(f, make_noise(), *metrics, **CERTIFIERS[certifier.__name__] | {"batch_size": 16} | options)


def certified(certifier, make_noise, function, metric=None, device="cuda", **options):
    """The draws and the statements of images: two that share batches, or one whose outputs are kept."""
    with patch.object(lpips, "_load", FeaturesOfLPIPS):
        c = made(certifier, make_noise, function, metric, device, **options)
        radii = c.cases(EPS)
        if isinstance(c, smoothing.Calibrated):
            rows = c.engine.run_all(c.calibrating(x, 10 + k, 0) for k, x in enumerate(images(device, 2)))
            c.calibrate([vars(row) for row, _ in rows])
        procedures = (c.procedure(x, k, 0) for k, x in enumerate(images(device, 1 if metric else 2)))
        found = [(drawn, c.statements(drawn, radii)) for drawn, _ in c.engine.run_all(procedures)]
    assert certifier is not smoothing.Attack or any(each.status == "attacked" for each in found[0][0])
    return found


def with_precision(precision, device):
    votes = certified(smoothing.ExactCertify, FINITE, Network, device=device, precision=precision)
    return votes, certified(smoothing.CenterSmoothing, ON_GRID, Network, "L2", device, precision=precision)


def with_metrics_together(device):
    """Three metrics of the same outputs."""
    f, noise, options = Network(16, image).to(device), ON_GRID(), CERTIFIERS["CenterSmoothing"] | {"batch_size": 16}
    metrics = (smoothing.L2(), smoothing.TotalVariation(), smoothing.Angular())
    found = [smoothing.CenterSmoothing(f, noise, metric, **options) for metric in metrics]
    (x,) = images(device, 1)
    return found[0].engine.run(combining([each.drawing(x, 0) for each in found]))


def with_a_callable(device):
    g = smoothing.SmoothedClassifier(Product(*VOTES).to(device), PLAIN(), batch_size=16)
    return list(g.certify_all(torch.stack([*images(device)]), n0=20, n=90))


def with_outputs_that_are_not_finite(device):
    def f(batch):
        return torch.where(batch > 0.3, batch, torch.inf).flatten(1)[:, :2]

    options = CERTIFIERS["CenterSmoothing"] | {"batch_size": 16}
    h = smoothing.CenterSmoothing(f, smoothing.Gaussian(0.1), smoothing.L2(), **options)
    return [(h.draw(x), h.smooth(x).inside) for x in images(device)]


def with_large_batches(device):
    """Batches of several blocks, and a part of one."""
    makers = [make for several in NOISES.values() for make in several]
    return [certified(smoothing.Certify, make, Product, device=device, n=500, batch_size=200) for make in makers]


def with_many_outputs(device):
    """So many that a screen finds the center."""
    names = ("L2", "TotalVariation", "Angular", "Cosine")
    return [certified(smoothing.CenterSmoothing, PLAIN, Product, name, device, n=300, batch_size=100) for name in names]


def with_images_of_two_sizes(device):
    """The buffers are made anew for each size."""
    c = made(smoothing.Certify, PLAIN, Network, None, device)
    x = next(images(device))
    sizes = x, x[:, :6, :6] / 2, x / 2, x[:, 2:, 2:]
    return [found for found, _ in c.engine.run_all(c.procedure(each, k, 0) for k, each in enumerate(sizes))]


def with_a_stream_of_the_caller(device):
    side = torch.cuda.Stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        return with_a_callable(device), with_images_of_two_sizes(device)


def with_one_noise_for_two_networks(device):
    """A finite noise keeps a table on the device."""
    noise, certifiers = FINITE(), (smoothing.Certify, smoothing.ExactCertify)
    return [certified(certifier, lambda: noise, Network, device=device) for certifier in certifiers]


def with_noise_alone(device):
    """As in training, and in plain loops."""
    x, found = torch.stack([*images(device)]), []
    stream = Stream(0, 0, Stage.ESTIMATION)
    for make_noise in (make for several in NOISES.values() for make in several):
        noise = make_noise()
        found += [noise.sample_each(x, stream.block(0, x.device)), *noisy_inputs(x[0], noise, 70, stream, 32)]
    return [*found, *noise.enumerate(x[0], 32)]


def with_metrics_alone(device):
    """All methods of a metric, also for no outputs."""
    (x,) = images(device, 1)
    found = []
    for name, (numbers, head) in OUTPUTS.items():
        with patch.object(lpips, "_load", FeaturesOfLPIPS):
            metric, y = metric_of(name), Product(numbers, head).to(device)(torch.stack([x, x / 2, x * 2, 1 - x]))
            found += [metric(y, y[:1]), metric(y[:0], y[:1]), metric.pairwise(y, y[:2]), metric.pairwise(y[:0], y)]
            found += [metric.candidates(y), metric.empty(y), metric.beta(y[0]), metric.rounding(y[0], y.dtype)]
            found += [metric.largest_distance(y.shape[1:])]
    return found


def with_float64(device):
    f = Product(*VOTES).to(device)
    f.weights = f.weights.double()
    g = smoothing.SmoothedClassifier(f, PLAIN(), batch_size=16)
    return [g.certify(x.double(), n0=20, n=90) for x in images(device)]


def with_inputs_from_elsewhere(device):
    """Inputs on the CPU and on the first device, for a network on this one."""
    g = smoothing.SmoothedClassifier(Network(*VOTES).to(device), PLAIN(), batch_size=16)
    (x,) = images("cuda:0", 1)
    return [g.predict(each, n=90) for each in (x, x.cpu(), x.cpu().numpy())]


def with_a_noise_that_raises(device):
    """It raises at the second block of a batch, when the first one is queued. The input's memory is used again."""

    class Raising(smoothing.Gaussian):
        rowwise, drawn = False, 0

        def sample(self, x, count, source):
            self.drawn += 1
            if self.drawn == 4:
                raise ValueError("the fourth")
            return super().sample(x, count, source)

    g = smoothing.SmoothedClassifier(Network(*VOTES).to(device), Raising(0.5), batch_size=128)
    (x,) = images(device, 1)
    try:
        g.predict(x, n=500)
    except ValueError as error:
        said = str(error)
    del x, g
    gc.collect()
    return said, [torch.ones(1, 8, 8, device=device) for _ in range(4)]


def calibrating(device):
    """What a run measures before it certifies."""
    sampled = made(smoothing.BalancedCenterSmoothing, PLAIN, Network, "L2", device)
    finite = made(smoothing.ExactBalancedCenterSmoothing, FINITE, Network, "L2", device)
    return [c.engine.run(c.calibrating(x, 0, [0.6, 0.7], [EPS])) for c in (sampled, finite) for x in images(device)]


def answering(device):
    """Whether the smoothed function surely answers."""
    options = {"n": 100, "alpha3": 0.3, "candidates": 40, "center": "medoid"}
    return certified(smoothing.BalancedCenterSmoothing, PLAIN, Network, "L2", device, **options)


SPECIAL = (
    partial(with_precision, "tf32"),
    partial(with_precision, "bfloat16"),
    with_metrics_together,
    with_a_callable,
    with_outputs_that_are_not_finite,
    with_large_batches,
    with_many_outputs,
    with_images_of_two_sizes,
    with_a_stream_of_the_caller,
    with_one_noise_for_two_networks,
    with_noise_alone,
    with_metrics_alone,
    with_float64,
    with_inputs_from_elsewhere,
    with_a_noise_that_raises,
    calibrating,
    answering,
)


def special_cases():
    for case in SPECIAL:
        name, *arguments = [case.func.__name__, *case.args] if isinstance(case, partial) else [case.__name__]
        yield " ".join([name.replace("_", " "), *arguments]), case, DEVICES
