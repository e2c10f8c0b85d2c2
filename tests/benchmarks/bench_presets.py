"""What guided estimates cost and are worth: errors, replicates, the stable flag, and seconds.

    python -m tests.benchmarks.bench_presets known|deep|flag|digits|fashion [--seconds]
    python -m tests.benchmarks.bench_presets faces|eyes --weights FILE [--seconds]

Every table has a row for each of the settings below, from an eighth of the evaluations of the
classical estimator (T = 500, 4 chains, 10 leapfrogs: 19,964) to as many. `known` has errors on
decoders of known density, `deep` on wavy ones of 8 and 16 latents against a long reference, with
how often the probe of another law is wrong there; `flag` says that of wavy decoders of 2. The
generators' names print differences of replicates (other seeds, another bank) on shipped generators
and on the two that others published on PyPI (`docs/faces.md`), with the sandwich gap of simulated
images; with `--seconds`, processor time beside the classical estimator's, taken in turn.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from offmanifold.core.bank import Bank
from offmanifold.core.guided import estimate_guided
from offmanifold.core.likelihood import estimate_log_likelihood, simulate
from offmanifold.core.settings.chains import chain_evaluations
from offmanifold.core.settings.classical import ClassicalSettings
from offmanifold.core.settings.guided import GuidedSettings
from offmanifold.workers.datasets import open_dataset
from offmanifold.workers.generator_source import GeneratorSource
from offmanifold.workers.generators import open_generator
from torch import Tensor

from tests.core.conftest import LinearDecoder
from tests.core.waves import Waves

FULL = GuidedSettings(
    transitions=500, restarts=75, iterations=100, finalists=10, final_iterations=200, polish=8
)
PRESETS = {
    "1/8": replace(
        FULL, transitions=66, restarts=8, iterations=66, finalists=8, final_iterations=0, polish=2
    ),
    "1/4": replace(
        FULL,
        transitions=125,
        restarts=20,
        iterations=80,
        finalists=4,
        final_iterations=50,
        polish=3,
    ),
    "1/2": replace(FULL, transitions=250, restarts=40, finalists=6, final_iterations=100, polish=4),
    "1": FULL,
}
# The settings of the preset `digits`, and less of them.
OWN = replace(FULL, transitions=100, restarts=32, bank=20_000, finalists=6, final_iterations=100)
OF_DIGITS = {
    "digits": OWN,
    "digits/2": replace(
        OWN, transitions=50, restarts=16, finalists=4, final_iterations=50, polish=6
    ),
    "digits/4": replace(
        OWN,
        transitions=30,
        restarts=8,
        iterations=60,
        finalists=3,
        final_iterations=30,
        polish=3,
    ),
}
REFERENCE = replace(FULL, transitions=2000, restarts=150, finalists=20, polish=10)
CLASSICAL = ClassicalSettings()
VARIANCES = {"fashion": 0.0089, "digits": 0.00296, "faces": 0.01, "eyes": 0.01}
# Their classes. They are so slow that 100,000 latents would cost as much as hundreds of estimates,
# and that classical chains are timed at a tenth of their length: they do the same all along.
PUBLISHED = {"faces": None, "eyes": 8}
SMALL_BANK = 2000
SHORT = 50
DOUBLE = torch.empty(0).double()
# Of an estimate that is low, and of a probe that found something.
LOW, FOUND = 1.0, 0.5


def colours(count: int) -> Tensor:
    """Images of 20 equal values."""
    value = torch.linspace(0, 1, count).double().view(-1, 1, 1, 1)
    return value.expand(-1, 1, 1, 20).contiguous()


def errors(name: str, decoder, images: Tensor, exact: Tensor) -> None:
    """Prints the errors of every preset on a decoder of known density."""
    bank = Bank(decoder)
    for preset, settings in PRESETS.items():
        used = replace(settings, bank=20_000)
        found = estimate_guided(decoder, images, None, 0.01, used, range(len(images)), bank=bank)
        error = found.log_likelihood - exact
        print(
            f"{name} | {preset} | {int(found.evaluations.max())} | {error.mean():+.2f} | "
            f"{error.abs().max():.1f}",
            flush=True,
        )


def known() -> None:
    """Linear decoders in closed form, wavy ones of 2 latents by quadrature."""
    for latents in (16, 64):
        decoder = LinearDecoder(latents, 784)
        images, _ = simulate(decoder, None, 0.01, range(16), like=DOUBLE)
        errors(f"linear {latents}/784", decoder, images, decoder.log_density(images, 0.01))
    for deviation in (0.5, 1.0, 1.4):
        for seed in (0, 1):
            waves, images = Waves(deviation, seed), colours(64)
            errors(f"wavy {deviation}", waves, images, waves.log_density(images, 0.01))


def deep() -> None:
    """Wavy decoders of 8 and 16 latents; the reference is the best of two long searches."""
    said = {preset: Flags() for preset in PRESETS}
    for latents, deviation in ((8, 0.5), (8, 1.0), (16, 0.25), (16, 0.5)):
        waves, images = Waves(deviation, 0, latents), colours(16)
        long = replace(FULL, transitions=1000, restarts=200, finalists=30, bank=200_000)
        exact = torch.stack(
            [
                estimate_guided(
                    waves, images, None, 0.01, long, range(seed, seed + 16), bank=Bank(waves, seed)
                ).log_likelihood
                for seed in (100, 200)
            ]
        )
        gap = (exact[0] - exact[1]).abs()
        print(f"{latents}, {deviation}: references differ by {gap.median():.2f}, {gap.max():.2f}")
        errors(f"wavy {latents}/20, {deviation}", waves, images, exact.amax(0))
        for preset, flags in said.items():
            flags.add(waves, images, replace(PRESETS[preset], bank=20_000), exact.amax(0))
            flags.tell(f"up to {latents}, {deviation} | {preset}")


def flag() -> None:
    """How often the probe finds nothing where the estimate is low, and something where not."""
    for preset in ("1/8", "1/4"):
        for bank in (0, 20_000):
            flags = Flags()
            for deviation in (0.5, 1.0, 1.4):
                for seed in (0, 1):
                    waves, images = Waves(deviation, seed), colours(64)
                    settings = replace(PRESETS[preset], bank=bank)
                    flags.add(waves, images, settings, waves.log_density(images, 0.01))
            flags.tell(f"{preset} | bank {bank}")


class Flags:
    """Which estimates are low, and for which the probe found something."""

    def __init__(self) -> None:
        self.low: list[Tensor] = []
        self.found: list[Tensor] = []

    def add(self, waves: Waves, images: Tensor, settings: GuidedSettings, exact: Tensor) -> None:
        """Estimates the images without a probe and with one."""
        alone, probed = (
            estimate_guided(waves, images, None, 0.01, settings, range(len(images)), probe=probe)
            for probe in (None, Bank(waves, seed=1))
        )
        self.low.append(alone.log_likelihood - exact < -LOW)
        self.found.append(probed.probe_gain >= FOUND)

    def tell(self, of: str) -> None:
        """Prints the shares of all estimates."""
        low, found = torch.cat(self.low), torch.cat(self.found)
        wrong, false = low & ~found, found & ~low
        print(
            f"{of} | {low.double().mean():.3f} low | {wrong.double().mean():.3f} wrongly stable | "
            f"{false.double().mean():.3f} falsely not | of {len(low)}",
            flush=True,
        )


class Group(NamedTuple):
    """Images and their classes; ``latent`` is that of simulated ones."""

    name: str
    images: Tensor
    labels: Tensor | None
    latent: Tensor | None = None


def groups(name: str, generator, count: int) -> Iterator[Group]:
    """Images and classes of several groups."""
    classes = torch.arange(count) % max(1, generator.num_classes)
    own = classes if generator.num_classes else None
    images, latent = simulate(generator, own, VARIANCES[name], range(5000, 5000 + count))
    yield Group("simulated", images, own, latent)
    data = {"digits": "digits", "fashion": "fashion_mnist"}.get(name)
    sets = [(data, split) for split in ("train", "test") if data]
    sets += [("single_colour", ""), ("mnist" if name == "fashion" else "natural_patches", "test")]
    for dataset, split in sets:
        source = open_dataset(
            dataset,
            split=split if dataset != "natural_patches" else "",
            path=None,
            image_shape=generator.image_shape,
            seed=0,
        )
        pairs = [source.image(index) for index in range(count)]
        images = torch.stack([torch.from_numpy(pixels) for pixels, _ in pairs])
        labelled = own is not None and dataset == data
        labels = torch.tensor([label for _, label in pairs]) if labelled else own
        yield Group(f"{dataset} {split}".strip(), images, labels)


def replicates(
    name: str, generator, count: int, presets: dict[str, GuidedSettings], only: list[str]
) -> None:
    """Prints by how much two replicates of every preset differ, and how far the dearest rises."""
    for group in groups(name, generator, count):
        if only and group.name not in only:
            continue
        best = None
        for preset, settings in reversed(presets.items()):
            began = time.process_time()
            pair = [
                estimate_guided(
                    generator,
                    group.images,
                    group.labels,
                    VARIANCES[name],
                    settings,
                    range(1000 * k, 1000 * k + count),
                    # A sandwich of one of them is enough.
                    group.latent if k == 0 else None,
                    bank=Bank(generator, seed=k),
                )
                for k in (0, 1)
            ]
            value = torch.stack([each.log_likelihood for each in pair])
            best = value.mean(0) if best is None else best
            gap = (value[0] - value[1]).abs()
            less = value.mean(0) - best
            sandwich = pair[0].upper_bound - pair[0].log_likelihood
            print(
                f"{group.name} | {preset} | {int(pair[0].evaluations.max())} | {value.mean():.1f} "
                f"| {less.mean():+.2f} ± {less.std() / count**0.5:.2f}; {less.min():+.2f} | "
                f"{gap.median():.2f} | {gap.quantile(0.9):.1f} | {gap.max():.1f} | "
                f"{sandwich.mean():.1f}; {sandwich.max():.1f} | "
                f"{(time.process_time() - began) / 2:.0f} s",
                flush=True,
            )


def chains_cost(settings: ClassicalSettings) -> int:
    """Evaluations of an image's classical chains."""
    return chain_evaluations(settings.chains, settings.leapfrog_steps, settings.transitions)


def seconds(
    name: str, generator, count: int, presets: dict[str, GuidedSettings], rounds: int
) -> None:
    """Prints seconds per image of every preset over those of the classical estimator, in turn."""
    variance = VARIANCES[name]
    group = next(groups(name, generator, count))
    images, labels = group.images, group.labels
    bank, seeds = Bank(generator), range(count)
    classical = replace(CLASSICAL, transitions=SHORT) if name in PUBLISHED else CLASSICAL
    longer = chains_cost(CLASSICAL) / chains_cost(classical)

    def spent(settings: GuidedSettings | None) -> float:
        began = time.process_time()
        if settings is None:
            estimate_log_likelihood(generator, images, labels, variance, classical, seeds)
        else:
            estimate_guided(generator, images, labels, variance, settings, seeds, bank=bank)
        return (time.process_time() - began) / count * (longer if settings is None else 1)

    used = {preset: replace(each, bank=SMALL_BANK) for preset, each in presets.items()}
    # The bank is decoded once, before: images share it.
    spent(replace(PRESETS["1/8"], restarts=1, transitions=2, bank=SMALL_BANK))
    times = [
        {"classical": spent(None), **{preset: spent(each) for preset, each in used.items()}}
        for _ in range(rounds)
    ]
    for preset in times[0]:
        ratio = sum(each[preset] / each["classical"] for each in times) / rounds
        least = min(each[preset] for each in times)
        print(f"{name} | {preset} | {least:.2f} s | {ratio:.2f}", flush=True)


def main() -> None:
    """Prints one of the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    own = {"known": known, "deep": deep, "flag": flag}
    parser.add_argument("table", choices=[*own, *VARIANCES])
    parser.add_argument("--weights", help="the file of the faces or the eyes")
    parser.add_argument("--count", type=int, default=16, help="images of each group")
    parser.add_argument("--group", action="append", help="one of the groups; may be given again")
    parser.add_argument("--only", action="append", choices=PRESETS, help="may be given again")
    parser.add_argument("--seconds", action="store_true", help="seconds in place of replicates")
    parser.add_argument("--forces", choices=["bfloat16"], help="of chains; float32 by default")
    parser.add_argument("--reference", action="store_true", help="less a reference of T = 2000")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.table in own:
        own[arguments.table]()
        return
    name = arguments.table
    source = GeneratorSource(f"shipped:{name}")
    if name in PUBLISHED:
        classes = PUBLISHED[name]
        source = GeneratorSource(arguments.weights, family="dcgan", classes=classes)
    generator = open_generator(source).generator
    asked = arguments.only or PRESETS
    chosen = {
        key: replace(each, forces=arguments.forces) for key, each in PRESETS.items() if key in asked
    }
    if arguments.seconds:
        seconds(name, generator, arguments.count, chosen, rounds=2)
        return
    if name == "digits":
        chosen |= OF_DIGITS
    if arguments.reference:
        chosen["reference"] = REFERENCE
    if name in PUBLISHED:
        chosen = {key: replace(each, bank=SMALL_BANK) for key, each in chosen.items()}
    replicates(name, generator, arguments.count, chosen, arguments.group or [])


if __name__ == "__main__":
    main()
