"""Large blocks of noise are drawn in pieces, with the numbers of the whole block."""

import pytest
import torch

from smoothing import Ablation, DeterministicSplitting, Gaussian, SmoothedClassifier, Splitting, Uniform
from smoothing.blocks import piece_size
from smoothing.cursor import Cursor, noisy_inputs
from smoothing.noise import Noise
from smoothing.sampling import AllCopies, Samples, whole
from smoothing.streams import BLOCK, Stage, Stream, unbiased

STREAM = Stream(seed=5, example=2, stage=Stage.CENTER)
SHAPE = (1, 3, 5)
ON = torch.randint(0, 16, SHAPE, generator=torch.Generator().manual_seed(0)).float() / 15
OFF = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0))
CASES = [
    (Gaussian(0.5), OFF),
    (Gaussian(0.5), OFF.double()),
    (Uniform(0.5), OFF),
    (Gaussian(0.5, grid=15), ON),
    (Gaussian(0.5, grid=15), OFF),
    (Uniform(0.5, grid=15), ON),
    (Uniform(0.5, grid=15), OFF),
    (Splitting(0.5, 15), ON),
    (DeterministicSplitting(0.5, 15, SHAPE), ON),
]


class Twice(Noise):
    """Draws one number per coordinate and then one per copy, so their order depends on the number of copies."""

    threat_norm = "l2"

    def __repr__(self):
        return "Twice()"

    def sample(self, x, count, source):
        return x + source.normal((count, *x.shape)) * source.uniform((count, *[1] * x.dim()))

    def shift(self, p, eps):
        return p

    def mass(self, p0, eps):
        return p0

    def radius(self, p_a, p_b=None):
        return 0.0


def written(x, noise, sizes, first=0):
    """Copies from number `first` on, written in batches of these sizes."""
    at = Cursor(Samples(x, noise, whole, STREAM, sum(sizes), first))
    rows = x.new_empty(sum(sizes), *x.shape)
    for part in rows.split(sizes):
        at.write(part)
    assert at.left == 0
    return rows


@pytest.mark.parametrize("at_once", [1, 31, 32, 60, 100, 500, 2**24])
@pytest.mark.parametrize(("noise", "x"), CASES, ids=str)
def test_pieces_are_the_whole_block_bit_for_bit(noise, x, at_once, monkeypatch):
    blocks = [noise.sample(x, BLOCK, STREAM.block(i, x.device)) for i in range(4)]
    expected = torch.cat(blocks)
    monkeypatch.setattr("smoothing.blocks.AT_ONCE", at_once)
    for sizes in ([200], [1] * 200, [7] * 28, [64, 64, 64, 8], [3, 100, 97], [128, 72]):
        assert torch.equal(written(x, noise, sizes), expected[: sum(sizes)])
    for first in (1, 37, 63, 64, 130):
        assert torch.equal(written(x, noise, [5, 40, 9], first), expected[first : first + 54])


@pytest.mark.parametrize("together", [1, 2, 3, 100])
@pytest.mark.parametrize(("noise", "x"), CASES, ids=str)
def test_blocks_drawn_together_are_the_blocks_bit_for_bit(noise, x, together, monkeypatch):
    expected = torch.cat([noise.sample(x, BLOCK, STREAM.block(i, x.device)) for i in range(10)])
    monkeypatch.setattr("smoothing.blocks.TOGETHER", together * BLOCK * x.numel())
    for sizes in ([640], [1, 639], [200, 440], [300, 5, 20, 315]):
        assert torch.equal(written(x, noise, sizes), expected)
    for first in (1, 63, 64, 130):
        assert torch.equal(written(x, noise, [200, 300], first), expected[first : first + 500])


def test_blocks_are_drawn_together_only_if_the_noise_says_so(monkeypatch):
    asked = []

    class Own(Gaussian):
        """`sample` is a user's, so what Gaussian says of its own does not hold."""

        def sample(self, x, count, source):
            asked.append(count)
            return super().sample(x, count, source)

    class Stated(Own):
        rowwise = True

    for noise in (Own(0.5), Stated(0.5), Twice()):
        expected = torch.cat([noise.sample(OFF, BLOCK, STREAM.block(i, OFF.device)) for i in range(4)])
        asked.clear()
        assert torch.equal(written(OFF, noise, [256]), expected)
        assert asked == {"Own": [64] * 4, "Stated": [256], "Twice": []}[type(noise).__name__]


class Mixin:
    def sample(self, x, count, source):
        return super().sample(x, count, source) + 100


class Mixed(Mixin, Gaussian):
    """Its `sample` is another parent's, and what Gaussian says is about Gaussian's."""


class Heir(Mixed):
    pass


@pytest.mark.parametrize("grid", [0, 15])
@pytest.mark.parametrize("kind", [Mixed, Heir])
def test_the_sample_of_a_mixin_is_the_one_that_is_drawn(kind, grid):
    expected = torch.cat([kind(0.5, grid).sample(ON, BLOCK, STREAM.block(i, ON.device)) for i in range(4)])
    assert expected.min() > 50
    assert torch.equal(written(ON, kind(0.5, grid), [256]), expected)


def test_a_sample_that_is_set_on_a_noise_is_the_one_that_is_drawn():
    noise = Gaussian(0.5)
    noise.sample = lambda x, count, source: torch.full((count, *x.shape), 7.0)
    assert (written(ON, noise, [256]) == 7).all()


def test_a_noise_that_draws_rows_of_another_number_cannot_be_drawn_together():
    class Wrong(Twice):
        rowwise = True

        def sample(self, x, count, source):
            return x + source.normal((1, *x.shape)).expand(count, *x.shape)

    with pytest.raises(ValueError, match="expected 64 rows for each of 4 blocks"):
        written(OFF, Wrong(), [256])


@pytest.mark.parametrize("at_once", [1, 100, 2**24])
def test_numbers_do_not_depend_on_the_batch_size_whatever_a_noise_draws(at_once, monkeypatch):
    monkeypatch.setattr("smoothing.blocks.AT_ONCE", at_once)
    expected = torch.cat(list(noisy_inputs(OFF, Twice(), 150, STREAM, 150)))
    for batch_size in (1, 3, 16, 64, 100):
        assert torch.equal(torch.cat(list(noisy_inputs(OFF, Twice(), 150, STREAM, batch_size))), expected)


@pytest.mark.parametrize("at_once", [1, 100, 2**24])
def test_levels_in_pieces_are_all_of_them_in_order(at_once, monkeypatch):
    noise = DeterministicSplitting(1.3, 15, SHAPE)
    assert noise.steps > BLOCK
    expected = noise.copies(ON, 0, noise.steps)
    monkeypatch.setattr("smoothing.blocks.TOGETHER", at_once)
    for batch_size in (1, 10, 64, 100):
        at, found = Cursor(AllCopies(ON, noise, whole)), []
        while at.left:
            found.append(ON.new_empty(min(batch_size, at.left), *SHAPE))
            at.write(found[-1])
        assert torch.equal(torch.cat(found), expected)


def test_a_piece_is_a_block_unless_that_is_large():
    def copies(*shape):
        return piece_size(torch.zeros(1).expand(shape))

    assert copies(1) == copies(3, 224, 224) == copies(2**18) == BLOCK
    assert copies(2**18 + 1) == BLOCK // 2
    assert copies(3, 2000, 2000) == 1 == copies(3, 4000, 6000)
    assert copies(0) == BLOCK


@pytest.mark.parametrize("batch_size", [1, 2])
def test_no_more_noise_than_a_batch_is_drawn_of_a_large_photograph(batch_size, monkeypatch):
    asked = []

    class Counting(Twice):
        def sample(self, x, count, source):
            asked.append(count)
            return super().sample(x, count, source)

    x = torch.zeros(3, 600, 4700)
    for batch in noisy_inputs(x, Counting(), 4, STREAM, batch_size):
        assert len(batch) == batch_size
    assert asked == [1] * 4


def test_the_remainder_of_62_bits_is_drawn_again_where_it_would_be_biased():
    high = 3 * 2**20
    top = 2**62 // high * high  # from here on the remainders 0, 1, ... come once more than others
    bits = torch.tensor([0, 5, top - 1, top, 2**62 - 1])
    spare = torch.tensor([7, 7, 7, 9, high + 11])
    assert unbiased(bits, spare, high).tolist() == [0, 5, high - 1, 9, 11]
    assert unbiased(bits, spare, high).dtype == torch.int32
    small = torch.arange(1000)
    assert torch.equal(unbiased(small, small + 1, 2**31).long(), small)


@pytest.mark.parametrize("cached", [1, 40, 100, 2**19])
@pytest.mark.parametrize(("noise", "x"), [*CASES, (Ablation(4, SHAPE), OFF), (Twice(), OFF)], ids=str)
def test_parts_of_a_piece_are_the_whole_piece_bit_for_bit(noise, x, cached, monkeypatch):
    """Also where the last batch ends within a block. A noise whose numbers depend on the count has no parts."""
    blocks = torch.cat([noise.sample(x, BLOCK, STREAM.block(i, x.device)) for i in range(3)])
    monkeypatch.setattr("smoothing.blocks.CACHED", cached)
    found = written(x, noise, [70, 50, 60])
    assert torch.equal(found.nan_to_num(-9), blocks[:180].nan_to_num(-9))


@pytest.mark.parametrize("cached", [1, 40])
def test_parts_of_all_copies_are_all_copies(cached, monkeypatch):
    noise = DeterministicSplitting(2.0, 15, SHAPE)
    monkeypatch.setattr("smoothing.blocks.TOGETHER", cached)
    at, rows = Cursor(AllCopies(ON, noise, whole)), ON.new_empty(noise.steps, *SHAPE)
    for part in rows.split(50):
        at.write(part)
    assert torch.equal(rows, noise.copies(ON, 0, noise.steps))


class Reusing(Gaussian):
    """Returns the same memory each time."""

    def sample(self, x, count, source):
        self._memory = getattr(self, "_memory", torch.empty(64, *x.shape))
        return self._memory[:count].copy_(super().sample(x, count, source))


def test_a_noise_may_use_its_memory_again():
    """Batches end within blocks, and other samples are drawn before the rest of a block is used."""

    def certified(noise):
        g = SmoothedClassifier(lambda x: torch.cat([x.sum(1, keepdim=True), x[:, :1]], 1), noise, batch_size=100)
        found = []
        for k, c in g.certify_all(torch.linspace(-0.3, 0.3, 36).view(12, 3), n0=50, n=70, first=0):
            found.append(c)
            g.predict(torch.full((3,), 9.0), n=64, example=100 + k)
        return found

    assert certified(Reusing(0.5)) == certified(Gaussian(0.5))
