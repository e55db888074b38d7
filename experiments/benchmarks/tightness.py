"""Try to break every certifier: `python -m experiments.benchmarks.tightness`. Its run.json records how long it took.

Writes results/tightness/tightness.csv, with one row per attacked point, and run.json. `python plot.py figure=tightness`
draws them. With names of certifiers, such as `median mean`, it attacks these again and keeps the other rows. LPIPS is
not attacked, because it needs a network of its own.
"""

import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from experiments.benchmarks.attacked_cases import CENTER, CLASSIFY, all_cases
from experiments.machine.files import write_atomically
from experiments.papers.ours.tightness import FOLDER, RECORD, TABLE, summary
from experiments.runs.provenance import provenance

SEED = 0


def run(
    seed: int, share: float = 1.0, say: Callable[[str], None] = lambda line: None, only: Sequence[str] = ()
) -> pd.DataFrame:
    """All attempts, one row each: number of the certificate, the case, the columns of `Attempt`, seed and seconds.

    Args:
        seed: seed of training, certificates and attacks.
        share: share of each case's inputs to use; at least one input is used.
        say: called with a line of text after each case.
        only: attack these certifiers, by name; all by default.
    """
    rows: list[dict[str, Any]] = []
    certificates = 0
    for case in all_cases(seed):
        if only and case.certifier not in only:
            continue
        before, started = len(rows), time.perf_counter()
        names = {"certifier": case.certifier, "noise": case.noise, "metric": case.metric, "model": case.model}
        for example in range(max(1, round(share * len(case.inputs)))):
            began = time.perf_counter()
            attempts = case.attack(case.inputs[example], example)
            seconds = time.perf_counter() - began
            named = {"index": certificates, **names, "example": example}
            rows += [named | asdict(attempt) | {"seed": seed, "seconds": seconds} for attempt in attempts]
            certificates += bool(attempts)
        say(f"{', '.join(names.values())}: {len(rows) - before} attempts, {time.perf_counter() - started:.0f} s")
    return pd.DataFrame(rows)


def main(only: Sequence[str] = ()) -> None:
    """Run the benchmark, write its table and record, and print a summary.

    Args:
        only: attack these certifiers again, and keep the rows of the others; run.json then has an entry in `again`.
    """
    started, folder = _now(), Path("results") / FOLDER
    table = run(SEED, say=partial(print, flush=True), only=only)
    made = {
        "started": started,
        "ended": _now(),
        "device": f"cpu ({platform.machine()}, {torch.get_num_threads()} threads)",
        **provenance(),
    }
    if only:
        record = json.loads((folder / RECORD).read_text())
        record.setdefault("again", []).append({"certifiers": list(only), **made})
        others = pd.read_csv(folder / TABLE).query("certifier not in @only")
        table = pd.concat([others, table.assign(index=table["index"] + 1 + others["index"].max())])
    else:
        settings = {"type": "all of smoothing", **CLASSIFY, **{f"center_{name}": v for name, v in CENTER.items()}}
        identity = {"dataset": {"type": "Digits"}, "certifier": settings, "seed": SEED}
        record = {"identity": identity, "seed": SEED, "config": {"name": "digits"}, **made}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / TABLE, table.to_csv(index=False).encode())
    write_atomically(folder / RECORD, (json.dumps(record, indent=2) + "\n").encode())
    found = summary(table)
    print(found.drop(columns=["level"]).to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    print(
        f"{found['attempts'].sum()} attempts on {found['certificates'].sum()} certificates, "
        f"{found['violated'].sum()} of them broken"
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    main(sys.argv[1:])
