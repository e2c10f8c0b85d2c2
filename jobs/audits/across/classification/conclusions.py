"""What the accuracies of densities conclude."""

from ....reduce.context import GeneratorInfo, ReduceContext
from ....report.conclusion import Conclusion, Conclusions
from ....report.summary import Summary
from .question import baseline_comparisons, matches_neighbours


def conclude_accuracies(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo
) -> Conclusions:
    """By the interval of the difference from the nearest neighbour's accuracy."""
    words = {"yes": "at least 1-NN's", "no": "below 1-NN's", "undecided": "not decided"}
    found = {}
    for group in context.groups:
        accuracy = summary.find("accuracy_likelihood", generator=generator.name, group=group.name)
        compared = baseline_comparisons(summary, "likelihood", generator.name, group.name)
        if accuracy is not None and compared:
            _, _, difference = compared[0]
            found[f"accuracy on {group.name}, %"] = Conclusion(
                accuracy.scaled(100).fixed(1), words[matches_neighbours(difference)]
            )
    return found
