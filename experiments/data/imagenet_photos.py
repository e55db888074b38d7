"""ImageNet's photographs that ship with Python packages. No download is needed."""

from functools import cached_property
from pathlib import Path

import torch

from experiments.data.base import PIXELS, Images, LabelledDataset, LabelledImages
from experiments.data.image_file import open_image
from experiments.data.packaged import folder_of, resized, square

SIDE = 224
PATCH = 128  # side of a training patch
SHORTER = (256, 448)  # sides that photographs are resized to, before patches are cut
OTHERS = {  # package, file, label
    "chelsea": ("skimage", "data/chelsea.png", 281),
    "coffee": ("skimage", "data/coffee.png", 967),
    "rocket": ("skimage", "data/rocket.jpg", 657),
    "china": ("sklearn", "datasets/images/china.jpg", 698),
}
TRAINING = (  # package, files; none of them shows what one of the 24 shows
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
    *(
        ("skimage", f"data/{name}")
        for name in (
            *("astronaut.png", "motorcycle_left.png", "hubble_deep_field.jpg", "retina.jpg"),
            *("brick.png", "camera.png", "coins.png", "grass.png", "gravel.png", "moon.png"),
        )
    ),
)


class ImageNetPhotos(LabelledDataset):
    """24 photographs of ImageNet's classes, 3 x 224 x 224, k / 255: the central square of each, resized.

    Indices 0 to 19 are foolbox's examples of ImageNet, with the labels in their file names (the package is MIT; the
    photographs are ImageNet's, for research). The other four have the class that we think fits best: a tabby cat (281;
    S. van der Walt, CC0), an espresso (967; R. Michetti, CC0) and a rocket (657, missile; SpaceX, public domain) from
    scikit-image, and a palace from scikit-learn (698; danielbuechele, CC BY 2.0).

    Training images are patches of 128 x 128 pixels of 12 other photographs in these packages and matplotlib: a
    portrait of G. Hopper, a flower, an astronaut, a motorcycle, galaxies, a retina, and in gray bricks, a cameraman,
    coins, grass, gravel and the moon. They have no classes: all labels are 0. They serve to train a denoiser.

    So few images compare methods with each other on the same photographs. They do not estimate an accuracy on ImageNet.

    Raises:
        MissingDataError: a package is missing.
    """

    units = PIXELS
    shape = (3, SIDE, SIDE)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

    def indices(self) -> list[int]:
        return list(range(len(self._files)))

    def training(self) -> LabelledImages:
        patches = torch.cat([_patches(folder_of(package, "imagenet_photos") / file) for package, file in TRAINING])
        return Images(patches, torch.zeros(len(patches), dtype=torch.int64))

    def testing(self) -> Images:
        pixels = torch.stack([square(path, SIDE) for path, _ in self._files])
        return Images(pixels, torch.tensor([label for _, label in self._files]))

    def file(self, index: int) -> str:
        return self._files[self._known(index)][0].name

    @cached_property
    def classes(self) -> list[str]:  # type: ignore[override]
        from torchvision.models import ResNet50_Weights  # here, because it takes two seconds to import

        return list(ResNet50_Weights.IMAGENET1K_V2.meta["categories"])

    @cached_property
    def _files(self) -> list[tuple[Path, int]]:
        found = sorted((folder_of("foolbox", "imagenet_photos") / "data").glob("imagenet_*.jpg"))
        labelled = [(path, int(path.stem.rpartition("_")[2])) for path in found]
        return labelled + [
            (folder_of(package, "imagenet_photos") / file, label) for package, file, label in OTHERS.values()
        ]


def _patches(path: Path) -> torch.Tensor:
    """Patches of a photograph in two sizes, every half patch: (n, 3, PATCH, PATCH), uint8."""
    photograph, found = open_image(path), []
    for shorter in SHORTER:
        scale = shorter / min(photograph.size)
        width, height = (round(scale * side) for side in photograph.size)
        cut = resized(photograph, (width, height)).unfold(1, PATCH, PATCH // 2).unfold(2, PATCH, PATCH // 2)
        found.append(cut.permute(1, 2, 0, 3, 4).flatten(0, 1))
    return torch.cat(found)
