"""How fast a generator is: each kind of call timed here and now, in a run's own batches."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ..cluster.s3_settings import BY_ENVIRONMENT, S3Settings
from ..core.calls import Calls, Kind
from .generator_source import GeneratorSource
from .generators import GeneratorError, open_generator
from .process import keep_freed_memory, one_thread
from .row_memory import bytes_of_derivative, limited
from .timing import NOTHING, USUAL_SECONDS, Seconds, Timing, in_rounds, timed

if TYPE_CHECKING:
    import torch

    from ..core.generators.protocol import Generator
    from ..core.posterior import Posterior
    from ..core.row_limit import LimitedGenerator, RowLimit
    from .tried_errors import Trial, TriedErrors

# So long may a call take that is timed: of a slower generator, fewer rows are.
_LONGEST_SECONDS = 2.0
# Of the observation noise; the time does not depend on it.
_VARIANCE = 0.01
# Of a bank, so many latents are decoded, and so many are looked up.
_BANK_PART = 2048
_KEPT = 8
# So many steps, columns and modes tell of more; steps fewer, where they are slow.
_STEPS = 8
_COLUMNS = 4
_MODES = 4


@dataclass(frozen=True)
class Batch:
    """Rows of a call: so many images, each at so many points."""

    images: int
    points: int

    @property
    def rows(self) -> int:
        """All of them."""
        return self.images * self.points


@dataclass(frozen=True)
class Needs:
    """What of a generator is to be timed: batches by kind, and the size of a class's bank, or 0.

    ``trial`` is of its inversion, where a run's work depends on the errors that one leaves.
    """

    batches: Mapping[Kind, Sequence[Batch]]
    bank: int
    trial: "Trial | None" = None


@dataclass(frozen=True)
class Speed:
    """What a generator's calls take one worker.

    ``products`` are those of a point's Jacobian, which are timed together. ``decoding`` is of one
    latent of a bank, ``looking`` of what a bank's look-up takes for each of its latents.
    ``bytes_of_row`` is what a row takes for its derivative, ``limit`` says how many are
    differentiated together, and ``filled`` is the rows that a call is filled up to. ``errors`` are
    those of a trial of its inversion, None where none was made.
    """

    timings: Mapping[Kind, Timing]
    decoding: Seconds
    looking: Seconds
    bytes_of_row: int
    limit: "RowLimit"
    filled: int
    latent_dim: int
    errors: "TriedErrors | None" = None

    @property
    def drawn(self) -> Seconds:
        """Of an image, where many are drawn at once."""
        images = self.timings[Kind.IMAGES]
        return images.many_seconds.times(1 / images.many)

    def derivative_bytes(self, images: int, points: int) -> int:
        """What the derivative at so many images' points takes at once, filled up."""
        together = math.prod(self.limit.at_once(images, points))
        return _filled_up(together, self.filled) * self.bytes_of_row

    def jacobian_bytes(self, points: int, pixels: int) -> int:
        """What the Jacobians at so many points take at once, at the most."""
        from ..core.curvature import jacobian_bytes
        from ..core.settings.search import JACOBIAN_BYTES

        limits = {"rows": self.limit.rows, "block": self.filled}
        return jacobian_bytes(self.latent_dim, pixels, points, JACOBIAN_BYTES, **limits)

    def seconds(self, kind: Kind, rows: int) -> Seconds:
        """Of a call, filled up as it will be."""
        return self.timings[kind].seconds(_filled_up(rows, self.filled))

    def of_calls(self, calls: Iterable[Calls], images: int) -> Seconds:
        """Of calls that so many images make together."""
        found = NOTHING
        for call in calls:
            if call.times and call.rows:
                found = found.plus(self.seconds(call.kind, images * call.rows).times(call.times))
        return found


def source_speed(
    source: GeneratorSource,
    device: "torch.device",
    needs: Needs,
    service: S3Settings = BY_ENVIRONMENT,
) -> Speed:
    """As `generator_speed`, of the generator that a source names.

    Raises:
        GeneratorError: it cannot be opened.
    """
    import torch

    try:
        return generator_speed(open_generator(source, service).generator, device, needs)
    finally:
        if device.type == "cuda":
            # Workers share the device with this process.
            torch.cuda.empty_cache()


def generator_speed(generator: "Generator", device: "torch.device", needs: Needs) -> Speed:
    """That of one worker, on one thread.

    What a run's stages do is done in small: the same descents, chains and Jacobians, with fewer
    steps and columns. Latents are drawn from a seed of its own; no other random number of the
    process is touched.

    Raises:
        GeneratorError: it fails on one of these batches.
    """
    keep_freed_memory()
    try:
        with one_thread():
            return _Trial(limited(generator.to(device), device), device, needs).speed()
    except Exception as error:
        # What a generator of the user's raises is of any type.
        raise GeneratorError(
            f"called with the latents of a batch it raised {type(error).__name__}: {error}"
        ) from error


class _Trial:
    """Times a generator; slower kinds of calls are given no more rows than time allows."""

    def __init__(self, generator: "LimitedGenerator", device: "torch.device", needs: Needs) -> None:
        from ..core.row_limit import filled_up_to, of_any_rows

        self._generator, self._device, self._needs = generator, device, needs
        self._filled = filled_up_to(generator)
        self._bytes = bytes_of_derivative(of_any_rows(generator), device)
        self._classes = _classes(generator.unlimited)
        self._repeated = USUAL_SECONDS
        self._calls: Mapping[Kind, Callable[[Batch], float]] = {
            Kind.IMAGES: self._images,
            Kind.DESCENT: self._descent,
            Kind.CHAIN: self._chain,
            Kind.JACOBIAN: self._jacobian,
        }

    def speed(self) -> Speed:
        """All that is needed."""
        batches = {
            kind: self._extremes(kind, wanted)
            for kind, wanted in self._needs.batches.items()
            if wanted
        }
        rounds = in_rounds(
            {
                (kind, batch): partial(self._calls[kind], batch)
                for kind, extremes in batches.items()
                for batch in extremes
            }
        )
        timings = {}
        for kind, (few, many) in batches.items():
            few_rows, many_rows = (_filled_up(each.rows, self._filled) for each in (few, many))
            timings[kind] = Timing(few_rows, rounds[kind, few], many_rows, rounds[kind, many])
        decoding, looking = self._bank(timings)
        speed = Speed(
            timings,
            decoding,
            looking,
            self._bytes,
            self._generator.limit,
            self._filled,
            self._generator.latent_dim,
        )
        if self._needs.trial is None:
            return speed
        from .tried_errors import tried_errors

        errors = tried_errors(self._generator, self._device, self._needs.trial, speed)
        return replace(speed, errors=errors)

    def _extremes(self, kind: Kind, batches: Sequence[Batch]) -> tuple[Batch, Batch]:
        """The least and the largest of the batches, of no more rows than time allows."""
        call = self._calls[kind]
        # What is done once, and how slow it is.
        self._repeated = 0.0
        once = min(call(Batch(1, 1)) for _ in range(2))
        self._repeated = USUAL_SECONDS
        most = max(1, int(self._filled * _LONGEST_SECONDS / max(once, 1e-9)))
        most = max(self._filled, min(most, self._generator.limit.rows))
        ordered = sorted((_within(batch, most) for batch in batches), key=lambda each: each.rows)
        few, many = ordered[0], ordered[-1]
        if _filled_up(few.rows, self._filled) == _filled_up(many.rows, self._filled):
            return few, few
        return few, many

    def _latent(self, batch: Batch) -> "torch.Tensor":
        import torch

        random = torch.Generator().manual_seed(0)
        shape = (batch.images, batch.points, self._generator.latent_dim)
        return torch.randn(shape, generator=random).to(self._device)

    def _condition(self, images: int) -> "torch.Tensor | None":
        import torch

        if not self._classes:
            return None
        known = torch.tensor(self._classes, device=self._device)
        return known[torch.arange(images, device=self._device) % len(known)]

    def _targets(self, images: int) -> "torch.Tensor":
        import torch

        return torch.full((images, *self._generator.image_shape), 0.5, device=self._device)

    def _timed(self, call: Callable[[], object]) -> float:
        return timed(call, self._repeated)

    def _posterior(self, images: int) -> "Posterior":
        from ..core.posterior import Posterior

        targets, labels = self._targets(images), self._condition(images)
        return Posterior(self._generator, targets, labels, _VARIANCE)

    def _images(self, batch: Batch) -> float:
        posterior, latent = self._posterior(batch.images), self._latent(batch)
        return self._timed(lambda: posterior.value(latent).sum().item())

    def _descent(self, batch: Batch) -> float:
        """Of a step."""
        from ..core.search import descended
        from ..core.settings.search import SearchMethod

        posterior, latent = self._posterior(batch.images), self._latent(batch)

        def call(steps: int) -> float:
            return self._timed(
                lambda: descended(posterior, latent, steps, SearchMethod()).sum().item()
            )

        return _slope(call, 1)

    def _chain(self, batch: Batch) -> float:
        """Of a leapfrog step of the guided estimator's chains, around modes that are made up."""
        import torch

        from ..core.guided_run import FoundModes, GuidedProblem, run_chains
        from ..core.modes import Modes
        from ..core.settings.guided import GuidedSettings

        settings = replace(GuidedSettings(), chains=batch.points)
        latent = self._latent(Batch(batch.images, _MODES))
        ones = torch.ones_like(latent[:, 0, 0], dtype=torch.float64)
        eye = torch.eye(latent.shape[2], device=self._device)
        modes = Modes(
            latent,
            torch.zeros_like(latent[..., 0], dtype=torch.float64),
            eye.expand(batch.images, _MODES, -1, -1),
            torch.ones_like(latent, dtype=torch.float64),
        )
        found = FoundModes(modes, ones.long(), ones, ones, 1)
        problem = GuidedProblem(
            self._generator,
            self._targets(batch.images),
            self._condition(batch.images),
            _VARIANCE,
            tuple(range(batch.images)),
            None,
            None,
        )

        def call(transitions: int) -> float:
            wanted = replace(settings, transitions=transitions + 1)
            return self._timed(
                lambda: run_chains(problem, wanted, 0, found).log_likelihood.sum().item()
            )

        return _slope(call, settings.leapfrog_steps)

    def _jacobian(self, batch: Batch) -> float:
        """Of the Jacobian at each point; of a slow generator's, of a few columns."""
        from ..core.curvature import first_columns, jacobian_products
        from ..core.settings.search import JACOBIAN_BYTES

        posterior, latent = self._posterior(batch.images), self._latent(batch)
        flat = latent.flatten(0, 1)
        labels = self._condition(len(flat))
        count = latent.shape[2]
        pixels = math.prod(self._generator.image_shape)
        products = jacobian_products(count, pixels, JACOBIAN_BYTES)

        few, points = min(count, _COLUMNS), len(flat)

        def columns() -> None:
            nonlocal points
            found = first_columns(self._generator, flat, labels, few, JACOBIAN_BYTES)
            points = len(found.cpu())

        seconds = self._timed(columns) * _filled_up(len(flat), points) / points
        if products == count and seconds * products / few <= _LONGEST_SECONDS:

            def whole() -> object:
                return posterior.curvature(latent, JACOBIAN_BYTES).eigenvalue.sum().item()

            return self._timed(whole)
        return seconds * products / few

    def _bank(self, timings: Mapping[Kind, Timing]) -> tuple[Seconds, Seconds]:
        """Of a latent of a bank: to decode it, and to look it up once it is decoded."""
        if not self._needs.bank:
            return NOTHING, NOTHING
        from ..core.bank import Bank

        images = timings.get(Kind.IMAGES)
        size = min(self._needs.bank, _BANK_PART)
        if images is not None:
            block = max(images.seconds(self._filled).least, 1e-9)
            affordable = _LONGEST_SECONDS / block * self._filled
            size = max(_KEPT, min(size, int(affordable)))
        targets, labels = self._targets(1), self._condition(1)

        begun = time.perf_counter()
        bank = Bank(self._generator)

        def look() -> object:
            return bank.nearest(targets, labels, _VARIANCE, size, 5.0, _KEPT).sum().item()

        look()
        whole = time.perf_counter() - begun
        looking = in_rounds({"looking": lambda: self._timed(look)})["looking"]
        return Seconds(whole, whole).times(1 / size), looking.times(1 / size)


def _slope(call: Callable[[int], float], calls: int) -> float:
    """What a call takes of the so many that a step makes: of several steps, less those of one."""
    one = call(1)
    steps = max(1, min(_STEPS, int(_LONGEST_SECONDS / 2 / max(one, 1e-9))))
    return max(0.0, call(1 + steps) - one) / (steps * calls)


def _within(batch: Batch, rows: int) -> Batch:
    """As much of a batch as has no more than so many rows."""
    if batch.rows <= rows:
        return batch
    points = min(batch.points, rows)
    return Batch(max(1, rows // points), points)


def _filled_up(rows: int, block: int) -> int:
    return -(-rows // block) * block


def _classes(generator: "Generator") -> list[int]:
    """The classes that it makes; a set may have none of some."""
    from ..core.generators.class_set import ClassSetGenerator

    if isinstance(generator, ClassSetGenerator):
        return sorted(generator.members)
    return list(range(generator.num_classes))
