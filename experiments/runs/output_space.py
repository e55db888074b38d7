"""The space of a run's outputs if they are images like its inputs, from the classes in its run.json, without data."""

from experiments.config.settings import Group
from experiments.runs.reader import StoredRun
from smoothing import Metric


def image_shape(run: StoredRun) -> tuple[int, int, int] | None:
    """Shape (C, H, W) of the run's images, which is also the output shape. None if the data set does not state one.

    It comes from the class of the data set, so the data is not needed.
    """
    shape = getattr(Group.from_dict(run.record["config"]["dataset"]).located, "shape", None)
    return shape if isinstance(shape, tuple) else None


def largest_distance(run: StoredRun) -> float | None:
    """The largest possible distance between two of the run's images. Certificates at or above it are vacuous.

    None if the distance or the images' shape is unknown.
    """
    shape = image_shape(run)
    if shape is None:
        return None
    metric: Metric = Group.from_dict(run.record["config"]["metric"]).build()
    largest = metric.largest_distance(shape)
    return largest if largest < float("inf") else None
