"""The bar of a certification run."""

import time

from tqdm import tqdm


class Progress:
    """A bar with examples and samples a second and the time left; silent where there is no terminal."""

    def __init__(self, examples: int, samples_each: int) -> None:
        self._examples, self._each, self._done = examples, samples_each, 0
        self._bar = tqdm(total=examples * samples_each, unit=" samples", unit_scale=True, disable=None)
        self._started = time.perf_counter()

    def samples(self, count: int) -> None:
        self._bar.update(count)

    def example(self) -> None:
        """One more example is done; it may have taken fewer samples than it could have."""
        self._done += 1
        rate = self._done / max(time.perf_counter() - self._started, 1e-9)
        self._bar.set_description(f"example {self._done}/{self._examples}, {rate:.3g} examples/s")
        self._bar.update(max(0, self._done * self._each - self._bar.n))

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()
