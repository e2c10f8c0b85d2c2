"""What a stage's work takes at the measured speed of its generators: seconds, and memory."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ...core.calls import Calls, Kind
from ...workers.speed import Batch, Needs, Speed
from ...workers.timed_parts import Part
from ...workers.timing import NOTHING, Seconds
from ...workers.tried_errors import Trial, TriedErrors
from ..plan.stage import Cost
from ..plan.work import BankWork, Work


@dataclass(frozen=True)
class Speeds:
    """The generators' by their names, and the seconds of the parts of other work.

    ``taken`` are the seconds of the processor that it took to find them.
    """

    generators: Mapping[str, Speed]
    parts: Mapping[Part, Seconds] = field(default_factory=dict)
    taken: float = 0.0

    @property
    def errors(self) -> dict[str, TriedErrors]:
        """Of the generators' trials, by their names."""
        tried = ((name, speed.errors) for name, speed in self.generators.items())
        return {name: errors for name, errors in tried if errors is not None}


# Images that are drawn and not searched for, where no stage says how many at once.
_DRAWN = Batch(64, 1)
# Of a bank's latent: 128 coordinates of two bytes, and two squares.
_BANK_BYTES_OF_EACH = 128 * 2 + 2 * 4
_BASIS_DIRECTIONS = 128
_FLOAT_BYTES = 4


@dataclass(frozen=True)
class Foreseen:
    """Seconds of one worker: of all shards, and what each worker does once before it has any."""

    shards: Seconds
    once: Seconds

    @property
    def alone(self) -> Seconds:
        """Of a single worker."""
        return self.shards.plus(self.once)

    def shared(self, shards: int, workers: int) -> Seconds:
        """What it adds to a run of so many workers.

        At the least none waits, as other stages come meanwhile; at the most all of them wait for
        the end of the last shard, as what comes next needs it.
        """
        rounds = -(-shards // workers)
        none_waits = self.shards.times(1 / workers)
        all_wait = self.shards.times(rounds / max(1, shards))
        return Seconds(none_waits.least, all_wait.most).plus(self.once)


def needs(
    costs: Iterable[Cost], generators: Iterable[str], trials: Mapping[str, Trial] | None = None
) -> dict[str, Needs]:
    """What is to be timed of each generator, by its name, and its trial, if it has one."""
    known, tried = list(costs), trials or {}
    return {name: _needs(known, name, tried.get(name)) for name in generators}


def _needs(costs: list[Cost], generator: str, trial: Trial | None) -> Needs:
    batches: dict[Kind, list[Batch]] = {Kind.IMAGES: [_DRAWN]}
    bank = 0
    for cost in costs:
        for work in _of(cost.work, generator):
            for call in _made((*work.calls, *work.further)):
                batch = Batch(min(work.at_once, max(1, work.images)), call.rows)
                batches.setdefault(call.kind, []).append(batch)
        bank = max([bank, *(each.latents for each in cost.banks if each.generator == generator)])
    return Needs(batches, bank, trial)


def _of(work: Iterable[Work], generator: str) -> Iterator[Work]:
    return (each for each in work if each.generator == generator and each.images)


def _made(calls: Iterable[Calls]) -> Iterator[Calls]:
    """Without those that settings make none of: what is never called need not be possible."""
    return (call for call in calls if call.times and call.rows)


def foreseen(cost: Cost, speeds: Speeds, decoded: set[tuple[str, int]]) -> Foreseen:
    """The seconds of a stage; banks that are ``decoded`` are not again, and this stage's are then.

    Without ``work``, evaluations are images drawn by the slowest of the generators.
    """
    shards, once = NOTHING, NOTHING
    for work in cost.work:
        shards = shards.plus(_seconds(work, speeds.generators[work.generator]))
    if not cost.work and cost.evaluations and speeds.generators:
        drawn = (speed.drawn for speed in speeds.generators.values())
        shards = shards.plus(max(drawn, key=lambda each: each.most).times(cost.evaluations))
    for chore in cost.chores:
        least, most = speeds.parts.get(chore.part, NOTHING)
        shards = shards.plus(Seconds(chore.least * least, chore.most * most))
    for bank in cost.banks:
        speed = speeds.generators[bank.generator]
        shards = shards.plus(speed.looking.times(bank.latents * bank.look_ups))
        if (bank.generator, bank.latents) not in decoded:
            decoded.add((bank.generator, bank.latents))
            once = once.plus(speed.decoding.times(bank.evaluations))
    return Foreseen(shards, once)


def _seconds(work: Work, speed: Speed) -> Seconds:
    """Of all of a stage's images: whole shards, and what is left."""
    whole, left = divmod(work.images, work.at_once)
    found = NOTHING
    for shards, images in ((whole, work.at_once), (1, left)):
        if shards and images:
            least = speed.of_calls(work.calls, images)
            most = speed.of_calls(work.further, images)
            found = found.plus(Seconds(least.least, least.most + most.most).times(shards))
    return found


def memory(cost: Cost, speeds: Speeds, dimensions: int) -> int:
    """Bytes that a stage takes a worker at once, at the most: of derivatives, and banks.

    Beside them are the weights, and what Python and its libraries take.
    """
    rows = max(
        (_row_bytes(work, speeds.generators[work.generator], dimensions) for work in cost.work),
        default=0,
    )
    if not cost.work and cost.evaluations:
        rows = max(
            (
                speed.derivative_bytes(_DRAWN.images, _DRAWN.points)
                for speed in speeds.generators.values()
            ),
            default=0,
        )
    return rows + sum(_bank_bytes(bank, dimensions) for bank in cost.banks)


def _row_bytes(work: Work, speed: Speed, dimensions: int) -> int:
    """Of a gradient's rows or of a Jacobian's, of which one is let go of before the other."""
    images = min(work.images, work.at_once)
    made = list(_made((*work.calls, *work.further)))
    jacobians = [
        speed.jacobian_bytes(images * call.rows, dimensions)
        for call in made
        if call.kind is Kind.JACOBIAN
    ]
    gradients = [
        speed.derivative_bytes(images, call.rows)
        for call in made
        if call.kind in (Kind.DESCENT, Kind.CHAIN)
    ]
    return max([*gradients, *jacobians], default=speed.derivative_bytes(images, 1))


def _bank_bytes(bank: BankWork, dimensions: int) -> int:
    each = bank.latents * _BANK_BYTES_OF_EACH + _BASIS_DIRECTIONS * dimensions * _FLOAT_BYTES
    return bank.classes * each
