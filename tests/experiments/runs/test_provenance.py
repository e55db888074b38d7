"""The record of the code that made a run: its commit, and whether the code was changed since."""

import subprocess

from experiments.runs import run_folder


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
    monkeypatch.setattr(run_folder, "__file__", str(files["smoothing/a.py"]))
    assert run_folder.provenance()["dirty"] is False
    files["results/a/run.json"].write_text("2")
    files["REPORT.md"].write_text("2")
    (tmp_path / "new.py").write_text("untracked")
    assert run_folder.provenance()["dirty"] is False
    for name in ("smoothing/a.py", "conf/a.yaml"):
        files[name].write_text("2")
        assert run_folder.provenance()["dirty"] is True
        files[name].write_text("1")
    assert run_folder.provenance()["dirty"] is False
