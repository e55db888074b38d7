"""The report: no artefact missing, costs and provenance of runs, one page without external resources."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from experiments.config.experiment import experiment
from experiments.report.artefacts import (
    Status,
    artefact,
    by_paper,
    reason_of,
    status_of,
)
from experiments.report.costs import cost_of, duration, provenance_of, stands_on, told_apart
from experiments.report.figure import CONF, drawings, figure_of
from experiments.report.html import tables_of, write_page
from experiments.report.markdown import write_report
from experiments.runs.reader import StoredRun, find_runs
from smoothing import SettingError

# fmt: off
PAPERS_OWN = [
    "center_faces", "center_faces_boxes", "center_generator", "center_generator_images", "center_tvd",
    "center_l2_baseline", "center_angular", "center_training_noise", "center_exact_bounds", "center_l1",
    "cohen_table_imagenet", "cohen_table_cifar10", "cohen_predict", "cohen_curves", "cohen_bounds", "cohen_samples",
    "cohen_ablations", "cohen_high_probability", "cohen_training_noise", "cohen_resolution", "cohen_images",
    "cohen_attack", "cohen_baselines", "dssn_table_cifar10", "dssn_noise_values", "dssn_images", "dssn_joint",
    "dssn_time", "dssn_imagenet", "dssn_methods", "dssn_all", "dssn_denoiser",
]
# fmt: on
FORMULAS = ("cohen_looseness", "cohen_samples", "dssn_joint", "dssn_noise_values")  # need no runs, and little time
PICTURES = ("cohen_images", "cohen_photographs", "cohen_resolution", "dssn_images", "dssn_photographs")
RUNLESS = ("cohen_bounds", "training_losses", *PICTURES, *FORMULAS)


def reported(name, figure, results, out):
    return artefact(name, figure, drawings(name, figure, results, None, out))


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory, figure):
    """All figures without any results: some formulas are drawn, the others have status "not run here"."""
    folder = tmp_path_factory.mktemp("figures")
    names = sorted(path.stem for path in (CONF / "figure").glob("*.yaml"))
    return [
        reported(name, figure(name), folder / "none", folder)
        if name not in set(RUNLESS) - set(FORMULAS)
        else artefact(name, figure(name), [])
        for name in names
    ]


class Page(HTMLParser):
    """The ids, addresses and tags of a page. Checks that tags are closed in order."""

    VOID = ("meta", "img")

    def __init__(self, text):
        super().__init__()
        self.ids, self.addresses, self.tags, self.open = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.addresses += [given[name] for name in ("src", "href") if name in given]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_no_artefact_is_missing_from_the_page_and_it_needs_no_network(artefacts, tmp_path):
    write_page(artefacts, tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text()
    page = Page(text)
    assert set(PAPERS_OWN) <= set(page.ids)
    assert sorted(page.ids) == sorted(path.stem for path in (CONF / "figure").glob("*.yaml"))
    assert all(address.startswith(("#", "data:image/svg+xml;base64,")) for address in page.addresses)
    assert {address[1:] for address in page.addresses if address.startswith("#")} == set(page.ids)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert not re.search(r"url\(|@import", text)
    assert page.tags.count("img") == len(FORMULAS)
    again = tmp_path / "again.html"
    write_page(artefacts, again)
    assert again.read_text() == text


def test_what_was_not_run_says_what_it_takes(artefacts, tmp_path):
    missing = {one.name: one for one in artefacts if one.status == Status.MISSING}
    generator = missing["center_generator"]
    assert generator.lacking[0].commands[0].startswith("python certify.py -m experiment=imagenet_lpips")
    assert "weights of BigGAN" in generator.lacking[0].needs
    assert "CelebA" in missing["center_faces"].lacking[1].needs
    write_report(artefacts, tmp_path / "REPORT.md")
    text = (tmp_path / "REPORT.md").read_text()
    assert all(f'<a id="{name}"></a>' in text for name in PAPERS_OWN)
    assert "needs ImageNet (dataset.root) and GPUs" in text


def test_formulas_are_no_reproduction_unless_the_paper_prints_their_number(artefacts):
    drawn = {one.name: one for one in artefacts if one.name in FORMULAS}
    by_construction = dict.fromkeys(FORMULAS, Status.THEOREM)
    assert {name: one.status for name, one in drawn.items()} == by_construction | {"cohen_samples": Status.REPRODUCED}
    (joint,) = drawn["dssn_joint"].drawn
    joint.drawing.claims.loc[0, "within"] = False
    try:
        assert status_of(joint) == Status.DIFFERS
        assert "1 of them true by construction: an error of the code" in reason_of(joint)
    finally:
        joint.drawing.claims.loc[0, "within"] = True


def test_every_experiment_of_a_figure_has_a_command_and_the_large_ones_say_what_they_need(figure):
    for path in (CONF / "figure").glob("*.yaml"):
        for name in getattr(figure(path.stem), "experiments", []):
            assert experiment(name).commands()[-1].startswith("python certify.py")
            assert experiment(name).needs or name.startswith(
                ("diabetes", "digits", "faces", "person", "photos", "portraits")
            )


def test_what_a_figure_asks_of_the_trainer_is_asked_in_training_too():
    trained, made = experiment("digits_tvd").commands("trainer.noisy=true,false")
    assert made.startswith("python certify.py")
    assert trained.startswith("python train.py")
    assert made.endswith("trainer.noisy=true,false")
    assert trained.endswith("trainer.noisy=true,false")
    assert not experiment("digits_gaussian").commands("certifier=attack limit=30")[0].endswith("limit=30")


def test_papers_in_order(figure):
    some = [artefact(name, figure(name), []) for name in ("center_l1", "cohen_bounds", "cohen_table_cifar10")]
    assert {paper: [one.name for one in listed] for paper, listed in by_paper(some).items()} == {
        "Cohen et al.": ["cohen_table_cifar10", "cohen_bounds"],
        "Ours": ["center_l1"],
    }


@pytest.mark.parametrize("path", sorted((CONF / "figure").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_figure_file_says_what_it_is_and_names_a_face(path, figure):
    one = figure(path.stem)
    assert (
        one.paper
        in ("Center smoothing", "Cohen et al.", "Levine and Feizi", "Training methods", "Other papers", "Ours")
        or one.compares
    )
    assert one.shows
    assert one.item or one.paper == "Ours" or one.compares
    assert re.search(r"^_target_: experiments\.papers\.\w+\.\w+$", path.read_text(), re.MULTILINE)


def test_a_users_figure_need_not_say_what_it_is():
    own = figure_of("mine", {"_target_": "experiments.papers.cohen2019.Samples", "alpha": 0.001, "largest_n": 10})
    assert artefact("mine", own, []).title == "Yours, mine"
    assert artefact("mine", own, []).shows == "mine"


def test_a_figure_of_an_experiment_that_is_not_there(figure):
    with pytest.raises(SettingError, match=r"no experiment 'missing'; no experiment/missing\.yaml in "):
        artefact("cohen_curves", figure("cohen_curves", experiments=["missing"]), [])


def test_runs_of_a_name_that_was_only_typed_have_a_figure_too(figure):
    run = SimpleNamespace(record={"config": {"name": "mine"}})
    one = artefact("cohen_curves", figure("cohen_curves", experiments=["mine"]), [SimpleNamespace(runs=[run])])
    assert not one.made_by
    assert not one.lacking


def test_a_run_makes_a_card_with_its_cost_and_provenance(write_center_run, tmp_path, figure):
    for k in (1, 2, 3):
        write_center_run(
            "mnist_tvd", "MNIST", "Autoencoder", "TotalVariation", 0.1 * k, [k, k + 1.0, k + 2.0], [k / 9] * 3
        )
    one = reported("center_tvd", figure("center_tvd"), tmp_path, tmp_path / "figures")
    assert one.status in (Status.TREND, Status.DIFFERS)
    assert one.lacking[0].experiment == "digits_tvd"
    assert one.made_by[-1] == "python certify.py -m experiment=mnist_tvd"
    write_page([one], tmp_path / "index.html")
    page = (tmp_path / "index.html").read_text()
    assert "3 runs, 9 examples in all" in page
    assert "sigma = 0.1 or 0.2 or " in page
    assert Page(page).ids == ["center_tvd"]


def test_costs_count_what_was_drawn_once(write_run, write_center_run, tmp_path):
    rows = [{"index": i, "n0": 100, "n": 1000, "seconds": 1.5, "status": "certified"} for i in range(4)]
    write_run(tmp_path / "digits_gaussian" / "a", rows, {"type": "Certify"}, 0.25, 0.25)
    (run,) = find_runs(tmp_path)
    assert (cost_of([run]).samples, cost_of([run]).seconds) == (4400, 6.0)
    folder = write_center_run("mnist_l2", "MNIST", "Autoencoder", "L2", 0.1)
    table = pd.read_csv(folder / "certificates.csv").assign(n=2000, m=1000, seconds=2.0)
    table.to_csv(folder / "certificates.csv", index=False)
    (center,) = find_runs(folder)
    assert (cost_of([center]).samples, cost_of([center]).seconds) == (3 * 5000, 6.0)  # two eps of the same draws
    assert str(cost_of([run, center])) == "2 runs, 7 examples in all, 19,400 samples, 12 s of computing"


def test_rows_that_were_read_again_beside_their_source_cost_nothing(write_run, tmp_path):
    rows = [{"index": i, "n0": 100, "n": 1000, "seconds": 1.5, "status": "certified"} for i in range(4)]
    write_run(tmp_path / "digits_gaussian" / "a", rows[:3], {"type": "Certify"}, 0.25, 0.25)
    write_run(tmp_path / "again" / "b", rows, {"type": "Certify"}, 0.25, 0.25)
    path = tmp_path / "again" / "b" / "run.json"
    reading = {"from": "digits_gaussian/a", "examples": [0, 1, 2]}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"read_again": [reading]}))
    read, source = find_runs(tmp_path)
    assert (cost_of([read]).samples, cost_of([read]).seconds) == (4400, 6.0)
    assert (cost_of([source, read]).samples, cost_of([source, read]).seconds) == (4400, 6.0)  # index 3 was sampled


def test_what_runs_stand_on_is_one_line(write_run, write_center_run, tmp_path):
    rows = [{"index": i, "n0": 100, "n": 1000, "seconds": 1.5, "status": "certified"} for i in range(4)]
    write_run(tmp_path / "digits_gaussian" / "a", rows, {"type": "Certify"}, 0.25, 0.25)
    write_run(tmp_path / "digits_gaussian" / "b", rows[:1], {"type": "Certify"}, 0.5, 0.5)
    own = tmp_path / "digits_gaussian" / "b" / "run.json"
    record = json.loads(own.read_text())
    record["identity"]["training"] = {"weights": "of a file"}
    own.write_text(json.dumps(record))
    write_center_run("mnist_l2", "MNIST", "Autoencoder", "L2", 0.1, training={"seed": 0})
    write_center_run("mnist_l2", "MNIST", "Autoencoder", "L2", 0.2, training={"seed": 7, "epochs": 10})
    found = stands_on(find_runs(tmp_path)).split(" | ")
    assert sorted(found) == [
        "Digits: 1 to 4 examples; trained for 1 epoch or weights from elsewhere",
        "MNIST: 3 examples; trained for 3 to 10 epochs, 2 seeds",
    ]
    assert stands_on([]) == ""


def test_provenance_puts_differences_side_by_side():
    start = {"device": "cpu", "commit": "0123456789abcdef", "dirty": True, "started": "2026-01-02T03:04:05+00:00"}
    identity = {"noise": {"type": "Gaussian"}, "certifier": {"type": "Certify", "n": 10, "radii": [1]}, "seed": 0}
    runs = [
        StoredRun(Path(), {"identity": identity | {"noise": {"type": "Gaussian", "sigma": s}} | grid, **start})
        for s, grid in ((0.5, {}), (0.25, {"grid": 255}))
    ]
    found = provenance_of(runs)
    assert found["settings that differ"] == "noise.sigma = 0.25 or 0.5, grid = none or 255"
    assert found["settings"] == "noise = Gaussian, certifier = Certify, certifier.n = 10"
    assert "settings that differ" not in provenance_of(runs[:1])
    assert found["commit"] == "0123456789 with changes"
    assert found["date"] == "2026-01-02"


def test_what_tells_drawings_of_one_experiment_apart():
    def run(sigma, **training):
        identity = {"noise": {"type": "Gaussian", "sigma": sigma}, "certifier": {"type": "Certify", "n": 10}, "seed": 0}
        return StoredRun(Path(), {"identity": identity | {"training": {"type": "Trainer", **training}}})

    short, long = [run(0.25, epochs=9), run(0.5, epochs=9)], [run(0.25, epochs=90, precision="bf16-mixed")]
    assert told_apart({"short": short, "long": long}) == {
        "short": "training.epochs = 9, training.precision = default",
        "long": "training.epochs = 90, training.precision = bf16-mixed",
    }
    assert told_apart({"short": short}) == {"short": ""}


def test_durations():
    assert [duration(s) for s in (0.25, 59, 90, 7200)] == ["0.25 s", "59 s", "1.5 min", "2.0 h"]


def test_tables_are_found_in_their_text():
    text = "Caption.\n\n| a | b |\n| - | - |\n| 1 | **2** |\n\nOther.\n\n| c |\n| - |\n"
    assert tables_of(text) == [("Caption.", [["a", "b"], ["1", "**2**"]]), ("Other.", [["c"]])]


@pytest.mark.parametrize("paper", ["cohen2019", "kumar2021", "levine2021"])
def test_every_remark_is_on_something_that_is_checked(paper):
    folder = CONF.parent / "experiments" / "papers" / paper
    remarks = pd.read_csv(folder / "remarks.csv")
    printed = {"certified accuracy", "best certified accuracy over sigma"}
    assert set(remarks["quantity"]) <= set(pd.read_csv(folder / "claims.csv")["quantity"]) | printed
    assert remarks.notna().all().all()
