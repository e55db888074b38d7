"""wandb as a logger: offline without network access, and running summaries."""

import math
import socket
import threading

import pandas as pd
import pytest
from omegaconf import OmegaConf

from experiments.config.check import checked_group
from experiments.report.figure import CONF
from experiments.runs.so_far import so_far
from smoothing import SettingError

pytest.importorskip("wandb")


@pytest.fixture
def asked(monkeypatch):
    """The connections that wandb opens to its server, here a local port that counts them."""
    server = socket.create_server(("127.0.0.1", 0))
    found = []

    def serve():
        while True:
            try:
                found.append(server.accept())
            except OSError:
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv("WANDB_BASE_URL", address)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    for proxy in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(proxy, address)
    yield found
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(timeout=5)


def files_of(folder):
    return list(folder.glob("wandb/offline-run-*/*.wandb"))


def test_offline_writes_files_and_asks_no_network(asked, tmp_path):
    node = OmegaConf.to_container(OmegaConf.load(CONF / "logger" / "wandb.yaml")) | {"folder": str(tmp_path)}
    assert node["mode"] == "offline"
    png = tmp_path / "figure.png"
    png.write_bytes((CONF.parent / "docs" / "center_faces.png").read_bytes())
    logger = checked_group("logger", node).build(config={"name": "digits_gaussian", "seed": 0})
    logger.log([{"epoch": 1, "loss": 0.5, "accuracy": 0.25, "seconds": 1.0}])
    logger.log([{"index": 0, "status": "certified", "correct": True, "radius": 0.4}])
    logger.table("certificates", pd.DataFrame({"index": [0], "status": ["certified"], "radius": [0.4]}))
    logger.figure("center_faces", png)
    logger.finish()
    (file,) = files_of(tmp_path)
    content = file.read_bytes()
    assert all(word in content for word in (b"so_far/certified accuracy", b"loss", b"center_faces", b"digits_gaussian"))
    assert list(file.parent.glob("files/media/images/center_faces*.png"))
    assert list(file.parent.glob("files/media/table/certificates*.json"))
    assert asked == []


def test_a_mode_or_a_folder_that_cannot_be_is_named(tmp_path):
    node = OmegaConf.to_container(OmegaConf.load(CONF / "logger" / "wandb.yaml"))
    with pytest.raises(SettingError, match=r"^logger\.mode: expected one of offline, online, got on$"):
        checked_group("logger", node | {"mode": "on"})
    (tmp_path / "file").touch()
    logger = checked_group("logger", node | {"folder": str(tmp_path / "file" / "folder")})
    with pytest.raises(SettingError, match=r"folder cannot be made \(Not a directory\); choose another$"):
        logger.build(config={})


def test_training_logs_its_losses(asked, trained, tmp_path):
    trained("logger=wandb", f"logger.folder={tmp_path}")
    (file,) = files_of(tmp_path)
    content = file.read_bytes()
    assert b"loss" in content
    assert b"epoch" in content
    assert asked == []


def test_no_logger_is_the_default(composed):
    assert not composed().logger
    assert composed("logger=none") == composed()


def test_certified_accuracy_accumulates():
    rows = [
        {"status": "certified", "correct": True, "radius": 0.5},
        {"status": "abstained", "correct": False, "radius": 0.0},
        {"status": "certified", "correct": False, "radius": 0.9},
        {"status": "certified", "correct": True, "radius": 0.3},
    ]
    assert so_far(rows) == pytest.approx(
        {"certified": 0.75, "certified accuracy": 0.5, "ACR (average certified radius)": 0.2}
    )
    assert so_far(rows[:1])["certified accuracy"] == 1


def test_medians_accumulate_with_abstentions_as_infinite():
    rows = [{"status": "certified", "eps_in": eps, "eps_out": eps + 1} for eps in (0.1, 0.2)] * 2
    assert so_far(rows)["median eps_out at eps_in = 0.2"] == pytest.approx(1.2)
    rows += [{"status": "abstained", "eps_in": 0.2, "eps_out": math.inf}] * 3
    assert so_far(rows)["median eps_out at eps_in = 0.2"] == math.inf


def test_attacks_and_predictions_accumulate():
    assert so_far([{"status": "attacked", "success": s} for s in (True, False)]) == {"success": 0.5}
    assert so_far([{"status": "predicted", "correct": True}]) == {"correct": 1.0}
