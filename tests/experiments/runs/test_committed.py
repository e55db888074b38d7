"""Only what git tracks is committed; in a folder without git, everything is."""

import subprocess

from experiments.runs.committed import committed_files


def test_own_files_beside_committed_ones_are_left_out(tmp_path):
    files = [tmp_path / "a" / "run.json", tmp_path / "own" / "run.json"]
    for file in files:
        file.parent.mkdir()
        file.write_text("{}")
    assert committed_files(tmp_path) == files
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "add", "a"], check=True)
    assert committed_files(tmp_path) == files[:1]
    assert committed_files(tmp_path / "own") == files[1:]
