"""The record of the code that made a run: its commit, whether the code was changed since, and versions."""

import importlib
import subprocess
import sys

from experiments.runs import provenance as made_by


def test_only_changes_of_code_and_configuration_count(tmp_path, monkeypatch):
    files = {name: tmp_path / name for name in ("smoothing/a.py", "conf/a.yaml", "results/a/run.json", "REPORT.md")}
    for file in files.values():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("1")

    def git(*words):
        subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e", *words], cwd=tmp_path, check=True)

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    monkeypatch.setattr(made_by, "__file__", str(files["smoothing/a.py"]))
    assert made_by.provenance()["dirty"] is False
    files["results/a/run.json"].write_text("2")
    files["REPORT.md"].write_text("2")
    (tmp_path / "new.py").write_text("untracked")
    assert made_by.provenance()["dirty"] is False
    for name in ("smoothing/a.py", "conf/a.yaml"):
        files[name].write_text("2")
        assert made_by.provenance()["dirty"] is True
        files[name].write_text("1")
    assert made_by.provenance()["dirty"] is False


def test_packages_that_bring_the_network_are_recorded_where_they_are_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    monkeypatch.setitem(sys.modules, "transformers", None)
    versions = made_by.provenance()["versions"]
    assert "timm" not in versions
    assert versions["transformers"]
    assert {"torch", "numpy"} <= set(versions)


def test_the_package_of_an_installed_class_is_recorded(tmp_path, monkeypatch):
    for name in ("my_installed_nets", "my_folder_nets"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("class Net: pass\n")
    record = tmp_path / "my_package-1.2.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.2\n")
    (record / "top_level.txt").write_text("my_installed_nets\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(made_by, "INSTALLED", (str(tmp_path),))
    targets = ["my_installed_nets.Net", "my_folder_nets.Net", "models.SmallCNN"]
    assert "my-package" not in made_by.provenance(targets)["versions"], "it is not imported"
    for name in ("my_installed_nets", "my_folder_nets"):
        monkeypatch.setitem(sys.modules, name, importlib.import_module(name))
    versions = made_by.provenance(targets)["versions"]
    assert versions["my-package"] == "1.2"
    assert set(versions) - set(made_by.provenance()["versions"]) == {"my-package"}
