"""The sections of `make gpu`, in the order of their value."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

HERE = "experiments.benchmarks.gpu"
NAMES = {  # of packages whose name differs from that of their module
    "antlr4": "antlr4-python3-runtime",
    "facenet_pytorch": "facenet-pytorch",
    "hydra": "hydra-core",
    "lightning_fabric": "lightning-fabric",
    "lightning_utilities": "lightning-utilities",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
CONFIGURED = (
    "hydra",
    "omegaconf",
    "antlr4",
    "pandas",
    "yaml",
    "safetensors",
    "sklearn",
)  # needed to compose a run's settings
TRAINED = (*CONFIGURED, "lightning_fabric", "lightning_utilities")
FACES = ("facenet_pytorch", "requests", "torchvision", "PIL", "skimage")
TESTED = ("pytest", "matplotlib", *TRAINED, *FACES)


@dataclass(frozen=True)
class Section:
    """One question to the GPU, answered in a process of its own.

    Attributes:
        name: of the section and of its file.
        seconds: an estimate, > 0. The section is not begun with less time left, and is ended after twice as long.
        needs: modules of other packages that it imports, besides torch, NumPy, SciPy and tqdm.
        module: the module that has `run`.
        environment: variables that are set for it on a GPU.
    """

    name: str
    seconds: float
    needs: tuple[str, ...] = ()
    module: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def located(self) -> str:
        """The name of its module; by default the section's name, in this folder."""
        return self.module or f"{HERE}.{self.name}"


SECTIONS = (
    Section("marked_tests", 120, TESTED),
    Section("sanitizer", 30, environment={"TORCH_CUDA_SANITIZER": "1"}),
    Section("two_gpus", 20),
    Section("streams", 20),
    Section("law_of_votes", 20),
    Section("law_of_centers", 120),
    Section("idle", 40, ("pandas", "sklearn", "safetensors")),
    Section("bench", 90, ("pandas", "sklearn", "safetensors")),
    Section("batch_size", 60, ("safetensors",)),
    Section("precision", 20, ("safetensors",)),
    Section("compiled", 60, ("safetensors", "triton")),
    Section("noise", 20),
    Section("resume", 40, TRAINED),
    Section("memory", 40, ("safetensors",)),
    Section("faces", 60, FACES),
    Section("training", 40, TRAINED),
    Section("epoch", 60, TRAINED),
    Section("slow_tests", 60, TESTED),
)


def missing(sections: Iterable[Section]) -> list[str]:
    """The names of the packages that sections need and that are not installed, sorted."""
    wanted = {module for section in sections for module in section.needs}
    return sorted(NAMES.get(module, module) for module in wanted if find_spec(module) is None)
