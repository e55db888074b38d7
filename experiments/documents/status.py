"""How many items have each status."""

import re

from experiments.config.command_line import CONF
from experiments.documents.runs import markdown
from experiments.report.artefacts import Status


def items() -> str:
    """The counts of REPORT.md, which `make figures` writes before it writes the documents."""
    report = (CONF.parent / "REPORT.md").read_text()
    counts = {name: re.search(rf"^(?:.*, )?{name}: (\d+)[,.]", report, re.MULTILINE) for name in map(str, Status)}
    return markdown(["status", "items"], [[name, found[1] if found else "0"] for name, found in counts.items()])
