"""What the tests of typicality conclude."""

from ....report.conclusion import Conclusion, Conclusions
from ....report.view import View
from .question import TYPICAL_WORDS, find_deviation


def conclude_typicality(view: View) -> Conclusions:
    """By the tests of a group's ln p against that of the model's samples."""
    return {
        f"deviation of {group.name} from {reference.name}, nats": Conclusion(
            deviation.found, TYPICAL_WORDS[deviation.answer]
        )
        for reference in view.context.references
        for group in view.context.groups
        if (deviation := find_deviation(view, group.name, reference.name))
    }
