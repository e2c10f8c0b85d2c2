"""Planning: choices of images and conditions, ids, and costs that are counted, not guessed."""

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from offmanifold.core.likelihood import simulate, tune_step_sizes
from offmanifold.core.settings.classical import ClassicalSettings
from offmanifold.jobs.audits.likelihood.tuning_plan import RUNS_PER_PILOT
from offmanifold.jobs.audits.specs import Spec
from offmanifold.jobs.audits.variance.halves import fitted_positions
from offmanifold.jobs.audits.variance.settings import VarianceSpec
from offmanifold.jobs.plan.stage import AuditContext, own_condition
from offmanifold.jobs.spec.choice import balanced_choice
from offmanifold.jobs.spec.facts import DatasetFacts, Facts, GeneratorFacts
from offmanifold.workers.inversion import COMPUTATION, INVERSION_TABLE
from offmanifold.workers.shard import Item, Shard, item_seed
from torch import Tensor

FACTS = GeneratorFacts(
    source="shipped:digits",
    name="g",
    sha256="0",
    latent_dim=16,
    num_classes=10,
    image_shape=(1, 8, 8),
    evaluations_per_second=None,
)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.data())
def test_a_choice_is_balanced_without_repeats(labels: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(labels)))
    chosen = balanced_choice(tuple(labels), len(labels), count, seed=3)
    assert len(set(chosen)) == count
    taken = np.bincount([labels[index] for index in chosen], minlength=5)
    there = np.bincount(labels, minlength=5)
    # A class may fall behind the fullest one by more than an image only when it is used up.
    assert all(taken[c] >= taken.max() - 1 or taken[c] == there[c] for c in range(5))


def _context(labels: tuple[int, ...] | None) -> AuditContext:
    test = {"name": "test", "role": "test", "dataset": "digits", "split": "test", "count": 4}
    spec = Spec.model_validate(
        {
            "name": "turns",
            "generators": [{"name": "g", "source": "shipped:digits"}],
            "groups": [test],
            "stages": {},
        }
    )
    digits = DatasetFacts("digits", "test", None, {}, "0", "0", 10, labels, 500, 17)
    return AuditContext(spec, Facts({"g": FACTS}, {"test": digits}, {}, (1, 8, 8), None))


def test_images_without_a_label_meet_all_classes_in_turn_where_the_data_have_none() -> None:
    turns = [own_condition(_context(None), FACTS, None, position) for position in range(12)]
    assert turns == [*range(10), 0, 1]
    assert own_condition(_context(None), FACTS, 7, 3) == 7
    assert own_condition(_context(None), replace(FACTS, num_classes=0), 7, 3) is None


def test_images_without_a_label_meet_the_classes_of_the_data() -> None:
    context = _context((3, 8) * 250)
    turns = [own_condition(context, FACTS, None, position) for position in range(8)]
    assert (turns.count(3), turns.count(8)) == (4, 4)


@given(st.lists(st.integers(0, 4) | st.none(), min_size=4, max_size=60))
def test_both_halves_have_the_same_classes(labels: list[int | None]) -> None:
    fitted = set(fitted_positions(labels, VarianceSpec()))
    for label in set(labels):
        members = [position for position, each in enumerate(labels) if each == label]
        assert abs(2 * len(fitted.intersection(members)) - len(members)) <= 1


def test_the_fit_takes_all_images_or_none_where_the_spec_says_so() -> None:
    assert fitted_positions([None] * 3, VarianceSpec(fit="all")) == [0, 1, 2]
    assert fitted_positions([None] * 3, VarianceSpec(value=0.1)) == []
    # One image of each class: the halves go by the classes.
    assert fitted_positions([0, 1, 2, 3], VarianceSpec()) == [0, 2]
    # Too few to be halved.
    assert fitted_positions([0, 1, 2], VarianceSpec()) == [0, 1, 2]


def shard() -> Shard:
    item = Item("g", 1, "train", "train-000001", 1, seed=5, image_part="a", image_row=0)
    return Shard(INVERSION_TABLE, COMPUTATION, {"iterations": 5}, (item,))


def test_an_id_follows_everything_the_rows_depend_on() -> None:
    base = shard()
    assert base.id == shard().id
    changed = [
        replace(base, table=replace(INVERSION_TABLE, name="likelihood")),
        replace(base, table=replace(INVERSION_TABLE, version=INVERSION_TABLE.version + 1)),
        replace(base, computation=replace(COMPUTATION, revision=COMPUTATION.revision + 1)),
        replace(base, settings={"iterations": 6}),
        replace(base, items=(replace(base.items[0], seed=6),)),
        replace(base, items=(replace(base.items[0], image_part="b"),)),
        replace(base, items=base.items * 2),
    ]
    assert len({base.id, *(each.id for each in changed)}) == 8
    assert base.part == f"inversion/part-{base.id}.parquet"


def test_seeds_are_63_bits_and_follow_run_stage_and_item() -> None:
    seeds = {item_seed(run, stage, "g", c) for run in (0, 1) for stage in "ab" for c in (0, None)}
    assert len(seeds) == 8
    assert all(0 <= seed < 2**63 for seed in seeds)


class CountingDecoder:
    """A linear decoder that counts the latents it is given."""

    latent_dim, num_classes, image_shape = 2, 0, (1, 2, 2)

    def __init__(self) -> None:
        self.latents = 0

    def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        assert condition is None
        self.latents += len(latent)
        return (latent @ torch.ones(2, 4)).view(-1, 1, 2, 2)

    def to(self, device: torch.device) -> "CountingDecoder":  # noqa: ARG002
        return self


def test_the_cost_of_tuning_is_what_the_plan_says() -> None:
    decoder = CountingDecoder()
    settings = ClassicalSettings(transitions=9, chains=3, leapfrog_steps=4)
    images, _ = simulate(decoder, None, 0.1, [1, 2])
    decoder.latents = 0
    tune_step_sizes(decoder, images, None, 0.1, settings, [1, 2])
    runs = RUNS_PER_PILOT * settings.chains
    assert decoder.latents == 2 * runs * (settings.leapfrog_steps * (settings.transitions - 1) + 1)
