"""What was understood of generators and images: what is assumed, what was read, which classes."""

from ..spec.audit import AuditSpec
from ..spec.evaluated import listed
from ..spec.facts import DatasetFacts, Facts, GeneratorFacts

_MOST_LISTED = 12


def account_notes(facts: Facts) -> list[str]:
    """What was read of each set of files and left out: of groups, reference sets and samples."""
    named = [
        *facts.groups.items(),
        *((f"reference set of {stage}", known) for stage, known in facts.references.items()),
        *((name, generator.samples) for name, generator in facts.generators.items()),
    ]
    return [f"{name}: {known.account}" for name, known in named if known and known.account]


def generator_notes(facts: Facts) -> list[str]:
    """What is known, assumed or looks wrong of each generator; the same of several, once."""
    named: dict[str, list[str]] = {}
    for name, generator in facts.generators.items():
        for note in generator.notes:
            named.setdefault(note, []).append(name)
    return [f"{', '.join(names)}: {note}" for note, names in named.items()]


def class_notes(spec: AuditSpec, facts: Facts) -> list[str]:
    """Training and test groups, reference sets, then samples: names and class numbers."""
    is_conditional = any(each.num_classes for each in facts.generators.values())
    notes = _generator_notes(facts)
    for group in spec.groups:
        if group.role in ("train", "test"):
            known = facts.groups[group.name]
            if known.classes is not None:
                notes.append(f"{group.name}: {_told(known.classes)}{_left_out(known)}")
            elif is_conditional and group.conditions == "all":
                notes.append(
                    f"{group.name}: no classes; evaluated under every class. σ² is fitted "
                    "under each image's class of least reconstruction error, and nothing is asked "
                    "that needs an image's own class"
                )
            elif is_conditional:
                others = ", nor by other training images, which share their σ²"
                notes.append(
                    f"{group.name}: classes in turn, whatever the images show; no question is "
                    f"answered by these images{others if group.role == 'train' else ''}"
                )
    notes += [
        f"reference set of {stage}: {_told(known.classes)}{_left_out(known)}"
        for stage, known in facts.references.items()
        if known.classes is not None
    ]
    return notes + _sample_notes(facts)


def _generator_notes(facts: Facts) -> list[str]:
    """Which generators are sets or series, and which are evaluated under some classes alone."""
    notes = []
    for name, each in facts.generators.items():
        if each.class_numbers:
            notes.append(f"{name}: a generator for each class; {_told(each.class_numbers)}")
        if each.subset not in (None, tuple(sorted(each.class_numbers.values()))):
            whole, alone = _own_classes(each), len(each.conditions) == 1
            notes.append(
                f"{name}: evaluated under {listed(each.conditions)} of its {whole}: "
                f"marginal densities, classification and σ² are over {'it' if alone else 'these'}"
            )
    series: dict[str, list[str]] = {}
    for name, each in facts.generators.items():
        if each.series is not None:
            series.setdefault(each.series.name, []).append(name)
    notes += [
        f"{name}: {len(members)} checkpoints of one training, in this order: {', '.join(members)}"
        for name, members in series.items()
    ]
    return notes


def _own_classes(generator: GeneratorFacts) -> str:
    return f"{len(generator.members) or generator.num_classes:,}"


def _left_out(facts: DatasetFacts) -> str:
    """How many images are of classes that are not evaluated."""
    return f"; {facts.left_out:,} images of other classes left out" if facts.left_out else ""


def _sample_notes(facts: Facts) -> list[str]:
    """How many samples there are in place of each generator without a latent."""
    notes = []
    for name, generator in facts.generators.items():
        if (samples := generator.samples) is not None:
            classes = "no classes" if samples.classes is None else _told(samples.classes)
            notes.append(f"{name}: {samples.length:,} samples, no latent; {classes}")
    return notes


def _told(classes: dict[str, int] | int) -> str:
    if isinstance(classes, int):
        return f"every image is of class {classes}"
    count = "1 class" if len(classes) == 1 else f"{len(classes)} classes"
    by_number = sorted(classes.items(), key=lambda item: (item[1], item[0]))
    last = len(by_number) - 1
    if last and by_number == [(str(number), number) for number in range(last + 1)]:
        return f"{count}, numbered 0 to {last}"
    shown = [f"{name} \N{RIGHTWARDS ARROW} {number}" for name, number in by_number[:_MOST_LISTED]]
    if len(by_number) > _MOST_LISTED:
        shown.append(f"and {len(by_number) - _MOST_LISTED} more")
    return f"{count}, {', '.join(shown)}"
