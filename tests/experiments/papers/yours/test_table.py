"""Tables for a paper: the numbers, the bold ones, and LaTeX that compiles."""

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from experiments.report.sources import Source
from experiments.report.text_table import latex, markdown


def compiled(tex, folder):
    """Compile a table. Skips without a TeX or booktabs."""
    program = shutil.which("pdflatex")
    asked = ["kpsewhich", "booktabs.sty"]
    if not program or subprocess.run(asked, capture_output=True, check=False).returncode:
        pytest.skip("no pdflatex with booktabs on this machine")
    document = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{tex}\end{{document}}"
    (folder / "document.tex").write_text(document)
    words = [program, "-interaction=nonstopmode", "-halt-on-error", "document.tex"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def written(drawn, two_methods, tmp_path):
    (path,) = drawn("table", tmp_path, source=two_methods, radii=[0, 0.3, 0.6])
    return path


def test_numbers_and_bold(written):
    assert written.name == "table-digits_l2.md"
    table = pd.read_csv(written.with_suffix(".csv"))
    first = table.iloc[0]
    assert (first["method"], first["sigma"], first["n"], first["examples"]) == ("ours", 0.5, 1000, 10)
    assert first["ACR"] == pytest.approx(0.36)
    held = [0, *np.arange(0, 0.9, 0.1)]
    assert first["ACR half-width"] == pytest.approx(1.96 * np.std(held, ddof=1) / 10**0.5, rel=0.01)
    assert (first["clean (%)"], first["abstained (%)"]) == (90, 10)
    assert table["r = 0.3 (%)"].tolist() == [60, 70, 60, 80]
    text = written.read_text()
    assert "n = 1,000" in text  # all rows share it
    assert "ACR: average certified radius" in text
    assert re.search(r"\| Cohen et al\. +\| 1 +\|.*\| \*\*80\.0\*\* \[44\.4, 97\.5\] ", text)
    assert text.count("**80.0**") == 5  # the best at radius 0, four times, and at 0.3


@pytest.fixture
def publish(tmp_path):
    """publish(training, sigma, predictions) writes a file in the format of Cohen et al. of examples of class 3."""

    def write(training, sigma, predictions):
        file = tmp_path / f"theirs/certify/mnist/lenet/noise_{training}/test/sigma_{sigma}"
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = [(k, 3, p, 0.4 * (p >= 0), int(p == 3), "0:00:01") for k, p in enumerate(predictions)]
        lines = ["\t".join(map(str, row)) for row in [("idx", "label", "predict", "radius", "correct", "time"), *rows]]
        file.write_text("\n".join(lines) + "\n")

    return write


def test_clean_accuracy_is_not_made_up(drawn, write_classes, publish, tmp_path):
    """The published format has no class where the certificate abstains: no number, and none of the others is best."""
    write_classes("ours", [0.4] * 9 + [0.0], sigma=0.25, identity={"dataset": {"type": "MNIST"}})
    publish(0.25, 0.25, [3] * 9 + [-1])
    sources = [Source(name, tmp_path / name) for name in ("ours", "theirs")]
    (path,) = drawn("table", tmp_path, source=sources, radii=[0.3], half_widths=False)
    table = pd.read_csv(path.with_suffix(".csv"))
    assert table["clean (%)"].tolist() == pytest.approx([100, np.nan], nan_ok=True)
    text = path.read_text()
    assert "-: the files have no class where the certificate abstains" in text
    assert re.search(r"\| theirs +\| 100,000 +\| - +\| 10.0 ", text)
    assert re.search(r"\| ours +\| 1,000 +\| 100.0 +\| 10.0 ", text)
    publish(0.25, 0.25, [3] * 9 + [4])  # nothing abstains, so all classes are known
    (path,) = drawn("table", tmp_path, source=sources, radii=[0.3])
    assert pd.read_csv(path.with_suffix(".csv"))["clean (%)"].tolist() == [100, 90]
    assert "the files have no class" not in path.read_text()


@pytest.mark.parametrize(("predicted", "clean"), [(3, 100), (4, 90), (-1, np.nan)])
def test_a_class_that_is_not_certified_counts_as_clean_accuracy(drawn, write_classes, tmp_path, predicted, clean):
    """A certifier without the column `guess` names it in `predict`. No certified accuracy comes from it."""
    file = write_classes("mine", [0.4] * 9 + [0.0]) / "certificates.csv"
    rows = pd.read_csv(file).drop(columns="guess")
    rows.loc[rows["status"] == "abstained", "predict"] = predicted
    rows.to_csv(file, index=False)
    (path,) = drawn("table", tmp_path, source=[Source("mine", tmp_path / "mine")], radii=[0])
    table = pd.read_csv(path.with_suffix(".csv"))
    assert table["clean (%)"].tolist() == pytest.approx([clean], nan_ok=True)
    assert table["r = 0 (%)"].tolist() == [90]
    assert ("the files have no class" in path.read_text()) == (predicted < 0)


def test_training_noise_is_said_where_it_is_another(drawn, publish, tmp_path, capsys):
    for sigma in (0.25, 0.5):
        publish(0.25, sigma, [3] * 8)
    (path,) = drawn("table", tmp_path, source=[Source("Cohen", tmp_path / "theirs")], radii=[0.3])
    assert pd.read_csv(path.with_suffix(".csv"))["method"].tolist() == ["Cohen", r"Cohen, training $\sigma$ = 0.25"]
    assert re.search(r"\| Cohen, training sigma = 0.25 +\| 0.5 ", path.read_text())
    for name in ("table", "compare"):
        capsys.readouterr()
        drawn(name, tmp_path, source=[Source("Cohen", tmp_path / "theirs")], envelope=True)
        assert "Cohen: 1 of 2 runs trained under another noise than they are certified with" in capsys.readouterr().out


def test_rows_of_different_examples_say_so_and_have_no_bold(drawn, write_classes, tmp_path):
    """Equal numbers of other examples are different ones, too."""
    for name, start, count in (("a", 0, 20), ("b", 0, 60), ("c", 5, 20)):
        write_classes(name, [0.5] * count, start=start)
    for names, bold, column in (("ab", False, True), ("ac", False, False), ("aa", True, False)):
        sources = [Source(f"{name}{k}", tmp_path / name) for k, name in enumerate(names)]
        (path,) = drawn("table", tmp_path, source=sources, radii=[0.3])
        text = path.read_text()
        assert ("**" in text) == bold == ("different test examples" not in text)
        assert ("| examples |" in text) == column
    (path,) = drawn("table", tmp_path, source=[Source(name, tmp_path / name) for name in "ab"], radii=[0.3])
    assert re.search(r"\| b +\| 60 +\|", path.read_text())


def test_an_interval_on_one_side_is_printed_as_an_interval(drawn, write_classes, tmp_path):
    """Of 60: none, all, one and half of them. One of 60 is too near to 0 for its half-width."""
    for name, count in (("a", 0), ("b", 60), ("c", 1), ("d", 30)):
        write_classes(name, [0.5] * count + [0.1] * (60 - count))
    (path,) = drawn("table", tmp_path, source=[Source(name, tmp_path / name) for name in "abcd"], radii=[0.3])
    text = path.read_text()
    shares = [line.split("|")[-2].strip() for line in text.splitlines() if re.match(r"\| [abcd] ", line)]
    assert shares == ["0.0 [0.0, 6.0]", "**100.0** [94.0, 100.0]", "1.7 [0.0, 8.9]", "50.0 +- 13.2"]
    assert "in brackets: the interval" in text
    assert "0.0$_{[0.0, 6.0]}$" in path.with_suffix(".tex").read_text()
    table = pd.read_csv(path.with_suffix(".csv"))
    assert table["r = 0.3 high (%)"][0] == pytest.approx(5.96, abs=0.01)
    assert table["r = 0.3 half-width (%)"][0] == pytest.approx(2.98, abs=0.01)


def test_latex_has_a_cell_for_each_column(written):
    tex = written.with_suffix(".tex").read_text()
    (columns,) = re.findall(r"\\begin\{tabular\}\{(\w+)\}", tex)
    lines = [line for line in tex.splitlines() if line.endswith(r" \\")]
    assert len(lines) == 5
    assert {line.count("&") + 1 for line in lines} == {len(columns)}
    assert all(rule in tex for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    assert r"\textbf{80.0}$_{[44.4, 97.5]}$" in tex
    assert r"\textbf{50.0}$_{\pm" in tex


def test_labels_with_marks_of_markdown_and_latex():
    rows = [["[12] SmoothAdv", "1"], ["*ours|tuned", "2"]]
    assert markdown(["method", "n"], rows).splitlines()[-1].replace("\\|", "").count("|") == 3
    lines = latex(["method", "n"], rows, "caption").splitlines()
    assert "    {}[12] SmoothAdv & 1 \\\\" in lines
    assert "    {}*ours$|$tuned & 2 \\\\" in lines


def test_it_compiles(written, tmp_path):
    done = compiled(written.with_suffix(".tex").read_text(), tmp_path)
    assert done.returncode == 0, done.stdout[-1500:]


def test_anything_in_a_label_compiles(tmp_path):
    labels = [r"50% & more_of #1", r"$\alpha$-net {x} ~ \x", "a < b > c | d ^ $", "ours \u00b1 \u03c3 \u2264 \u221e"]
    tex = latex(["method", "r"], [[label, "**1**"] for label in labels], "A table of a & b.", "lr")
    assert r"50\% \& more\_of \#1" in tex
    assert r"$\alpha$-net \{x\}" in tex
    done = compiled(tex, tmp_path)
    assert done.returncode == 0, done.stdout[-1500:]


def test_one_row_for_each_source(drawn, two_methods, tmp_path):
    (path,) = drawn("table", tmp_path, source=two_methods, envelope=True, half_widths=False, radii=[0.3, 0.6])
    table = pd.read_csv(path.with_suffix(".csv"))
    assert table["method"].tolist() == ["ours", "Cohen et al."]
    assert table["r = 0.6 (%)"].tolist() == [50, 40]
    assert table["r = 0.6 sigma"].tolist() == [1, 1]
    text = path.read_text()
    assert "optimistic" in text
    assert "+-" not in text


def test_outputs(drawn, write_center_run, tmp_path):
    write_center_run("mine", "Digits", "Autoencoder", "L2", 0.1, [1.0, 2, 3, 4, np.nan], [0.1] * 5, eps=(0.1,))
    write_center_run("mine", "Digits", "Autoencoder", "L2", 0.2, [np.nan] * 5, [0.1] * 5, eps=(0.1,))
    (path,) = drawn("table", tmp_path, source=[Source("mine", tmp_path / "mine")])
    table = pd.read_csv(path.with_suffix(".csv"))
    assert table["eps_out"].tolist() == [3, float("inf")]
    assert table["abstained (%)"].tolist() == [20, 100]
    assert "$\\infty$" in path.with_suffix(".tex").read_text()
    assert re.search(r"\| mine +\| 0.1 +\| 0.1 +\| \*\*3\*\* ", path.read_text())
    assert "inf" in path.read_text()
