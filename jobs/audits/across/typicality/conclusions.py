"""What the tests of typicality conclude."""

from ....reduce.context import GeneratorInfo, ReduceContext
from ....report.conclusion import Conclusion, Conclusions
from ....report.summary import Summary
from .question import TYPICAL_WORDS, find_deviation


def conclude_typicality(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo
) -> Conclusions:
    """By the tests of a group's ln p against that of the model's samples."""
    found = {}
    for reference in context.references:
        for group in context.groups:
            deviation = find_deviation(summary, generator, group.name, reference.name)
            if deviation is not None:
                found[f"deviation of {group.name} from {reference.name}, nats"] = Conclusion(
                    deviation.found.text(), TYPICAL_WORDS[deviation.answer]
                )
    return found
