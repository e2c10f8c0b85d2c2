"""Generators in one file: a published checkpoint, or a network of the user's."""

from dataclasses import replace
from pathlib import Path

from .generator_source import GeneratorSource
from .opened_generator import GeneratorDescription, OpenedGenerator
from .user_networks import UserNetwork, open_network


def open_published(wanted: GeneratorSource, path: Path) -> OpenedGenerator:
    """The generator of a family's checkpoint, which lies at ``path``."""
    from .checkpoints.opening import Reading, build_checkpoint, checkpoint_warnings, open_checkpoint

    reading = Reading(wanted.key, wanted.truncation, wanted.classes, wanted.mixed_precision)
    opened = open_checkpoint(path.expanduser(), wanted.family, reading)
    channels, height, width = opened.arguments["image_shape"]
    description = GeneratorDescription(
        source=wanted.source,
        latent_dim=opened.arguments["latent_dim"],
        num_classes=opened.arguments["num_classes"],
        image_shape=(channels, height, width),
        parameters=opened.parameters,
        evaluations_per_second=None,
        sha256=opened.sha256,
        notes=opened.translation.notes + checkpoint_warnings(opened),
    )
    return OpenedGenerator(build_checkpoint(opened), opened.sha256, description)


def open_user_network(source: str, path: Path, network: UserNetwork) -> OpenedGenerator:
    """The generator of a user's file; ``source`` is what the spec calls it."""
    generator, sha256, bound = open_network(path.expanduser(), network)
    opened = OpenedGenerator.of_user(source, generator, sha256)
    return replace(opened, description=replace(opened.description, only_on_cpu=bound))
