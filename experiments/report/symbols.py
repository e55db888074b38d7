"""Symbols in the text of figures, as mathtext."""

IN, OUT = r"$\varepsilon_\mathrm{in}$", r"$\varepsilon_\mathrm{out}$"
ALPHA, BETA, LAMBDA, SIGMA, TAU = r"$\alpha$", r"$\beta$", r"$\lambda$", r"$\sigma$", r"$\tau$"
P_A, P_B = "$p_A$", "$p_B$"
NORMS = {"l0": r"$\ell_0$", "l1": r"$\ell_1$", "l2": r"$\ell_2$", "linf": r"$\ell_\infty$", "patch": "patch"}


def sigma_text(sigma: float) -> str:
    return f"{SIGMA} = {sigma:g}"


def with_symbols(text: str) -> str:
    """A text with symbols instead of l2 and of h, as in "h = 2"."""
    words = NORMS | {"h": "$h$"}
    return " ".join(words.get(word, word) for word in text.split(" "))
