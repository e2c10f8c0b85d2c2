"""What the accuracies of densities conclude."""

from ....report.conclusion import Conclusion, Conclusions
from ....report.table import Format
from ....report.view import View
from .question import baseline_comparisons, matches_neighbours


def conclude_accuracies(view: View) -> Conclusions:
    """By the interval of the difference from the nearest neighbour's accuracy."""
    words = {"yes": "at least 1-NN's", "no": "below 1-NN's", "undecided": "not decided"}
    found = {}
    for group, accuracy in view.by_group("accuracy_likelihood").items():
        compared = baseline_comparisons(view, "likelihood", group)
        if compared:
            _, _, difference = compared[0]
            found[f"accuracy on {group}, %"] = Conclusion(
                accuracy, words[matches_neighbours(difference)], Format(decimals=1, scale=100)
            )
    return found
