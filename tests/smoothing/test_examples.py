"""The examples in the library's docstrings run and print what they say."""

import doctest
import importlib
import pkgutil

import pytest

import smoothing

MODULES = ["smoothing", *(module.name for module in pkgutil.walk_packages(smoothing.__path__, "smoothing."))]
FEWEST = 196  # lines with a prompt; the test must not pass because none are found


def examples_of(module):
    return [test for test in doctest.DocTestFinder().find(importlib.import_module(module)) if test.examples]


@pytest.mark.parametrize("module", MODULES)
def test_examples_print_what_they_say(module):
    said = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in examples_of(module):
        runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)


def test_there_are_examples():
    assert sum(len(test.examples) for module in MODULES for test in examples_of(module)) >= FEWEST


@pytest.mark.parametrize("name", ["Metric", "Noise"])
def test_every_metric_and_noise_has_an_example(name):
    base = getattr(smoothing, name)
    public = [getattr(smoothing, each) for each in smoothing.__all__]
    for cls in public:
        if isinstance(cls, type) and issubclass(cls, base):
            assert ">>>" in cls.__doc__, cls
