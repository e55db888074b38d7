"""The cost of certificates, ours compared with plain versions of the papers' procedures: `make bench`.

Both sides of a line use the same model and data, alternately. A ratio is the median over five rounds. Quote the ratios:
the seconds depend on the machine. Takes less than ten minutes on two cores.
"""

import time
from pathlib import Path

import torch

from experiments.benchmarks import autoencoder, classifiers, faces, medoid
from experiments.benchmarks.measuring import hardware
from experiments.machine.words import counted

OUT = Path("docs/bench.txt")


def main() -> None:
    """Print the table and write it to docs/bench.txt."""
    started = time.perf_counter()
    lines: list[str] = []
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def say(*text: str) -> None:
        lines.extend(text)
        print("\n".join(text), flush=True)

    say(f"{hardware(device)}, {counted(torch.get_num_threads(), 'thread')}; torch {torch.__version__}", "")
    many = 50_000 if device.type == "cuda" else 400
    say(*classifiers.resnet110(many).lines())
    say(*classifiers.dssn().lines())
    say(*classifiers.efficientnet(10_000 if device.type == "cuda" else 128).lines())
    if device.type == "cuda":
        say(*classifiers.resnet50(10_000).lines())
    say(*autoencoder.autoencoder().lines())
    for found in medoid.medoid_ratios():
        say(
            f"medoid of {medoid.OUTPUTS}, {found.metric:20} {found.loop_rows:9.0f} rows/s by the loop, "
            f"{found.our_rows:.0f}/s ours: {found.ratio:.0f}x   the same center: {'yes' if found.same_center else 'NO'}"
        )
    say(str(faces.faces_ratio()), "", f"{time.perf_counter() - started:.0f} s in all")
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
