"""Tables of the training methods: LeNet on MNIST."""

from experiments.documents.runs import having, markdown
from experiments.papers.training.results import ACR, as_published, by_method, numbers

EXPERIMENTS = tuple(f"mnist_{name}" for name in ("gaussian", "stability", "consistency", "macer"))


def training() -> str:
    """The average certified radius of each run beside the published one, and how many numbers are reproduced."""
    runs = [run for name in EXPERIMENTS for run in having(name, {"certifier.type": "Certify"}) if as_published(run)]
    found = numbers(by_method(runs)).dropna(subset="paper")
    rows = []
    for (method, sigma), of in found.groupby(["method", "sigma"], sort=False):
        acr = of.set_index("quantity").loc[ACR]
        cells = [f"{acr[name]:.3f}" for name in ("ours", "paper", "tolerance")]
        rows.append([method, f"{sigma:g}", *cells, f"{of['within'].sum()} of {len(of)}"])
    macer = found["method"].str.startswith("MACER")
    others = ", ".join(found["method"][~macer].unique())
    together = found.groupby(found["method"].where(macer, others), sort=False)["within"]
    said = " ".join(f"{name}: {within.sum()} of {len(within)}." for name, within in together)
    header = ["method", "sigma", "ACR", "published", "tolerance", "numbers within their tolerance"]
    return f"{markdown(header, rows)}\nTogether: {said}\n"
