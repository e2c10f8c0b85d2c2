"""The tables and the headline that models of `train_classifiers` give, as Markdown.

    python -m tests.benchmarks.classifiers_headline OUT [OUT …]

Each OUT has the models.json and answers.npz of a run; of a model that several have, the last
counts. Models that had not converged are named and left out of everything else.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from offmanifold.core.statistics.equivalent_share import EquivalentShare, equivalent_share

Rows = dict[str, dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="+")
    rows: Rows = {}
    correct: dict[str, np.ndarray] = {}
    for folder in parser.parse_args().out:
        found = json.loads((folder / "models.json").read_text())
        rows |= {row["model"]: row for row in found}
        with np.load(folder / "answers.npz") as answers:
            for name in answers.files:
                if name.startswith("correct."):
                    bits = np.unpackbits(answers[name]).astype(bool)
                    correct[name.removeprefix("correct.")] = bits
    converged = {name: row for name, row in rows.items() if row["converged"]}
    for architecture in ("linear", "resnet32"):
        mine = {name: row for name, row in converged.items() if name.startswith(architecture)}
        if mine:
            print_table(mine)
            print_headlines(architecture, kinds(mine), correct)
    left = sorted(name for name, row in rows.items() if not row["converged"])
    print(f"\n{len(left)} of {len(rows)} had not converged: {', '.join(left)}")


def kinds(rows: Rows) -> dict[tuple[str, int], list[str]]:
    """The models of each kind, (data, factor), by their names without the draw."""
    found: dict[tuple[str, int], list[str]] = {}
    for name in sorted(rows):
        _, data, factor, _ = name.split("-")
        found.setdefault((data, int(factor)), []).append(name)
    return dict(sorted(found.items(), key=lambda item: (item[0][0] != "real", item[0])))


def print_table(rows: Rows) -> None:
    print("\n| learned from | classifier | images | models | on these, % | on test images, % |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for (data, factor), names in kinds(rows).items():
        means = [
            100 * float(np.mean([rows[name][f"{part}_accuracy"] for name in names]))
            for part in ("train", "test")
        ]
        sign = "1/" if data == "real" else "x"
        print(
            f"| {data}, {sign}{factor} | {names[0].split('-')[0]} | {rows[names[0]]['images']:,} | "
            f"{len(names)} | {means[0]:.2f} | {means[1]:.2f} |"
        )


def print_headlines(
    architecture: str, models: dict[tuple[str, int], list[str]], correct: dict[str, np.ndarray]
) -> None:
    """Of every kind that is not real; and of 1/2 of the real images, whose worth is known."""
    stacked = {kind: np.stack([correct[each] for each in names]) for kind, names in models.items()}
    factors = [factor for data, factor in stacked if data == "real"]
    repeated = any(len(each) > 1 for each in stacked.values())
    if factors[:1] != [1] or len(factors) < 2 or not repeated:
        print(f"\n{architecture}: too few models have converged for a headline")
        return
    curve = [stacked[("real", factor)] for factor in factors]
    print()
    for (data, factor), made in stacked.items():
        if data != "real":
            print_share(
                f"{architecture}, {data} x{factor}", equivalent_share(factors, curve, made, 0)
            )
    if len(curve[1]) > 1:
        others = [curve[0], curve[1][1:], *curve[2:]]
        found = equivalent_share(factors, others, curve[1][:1], 0)
        print_share(f"{architecture}, 1/{factors[1]} of the real images in their place", found)


def print_share(name: str, share: EquivalentShare) -> None:
    print(f"- {name}: {share} of the data ({share.interval_in_words()}), N = {share.n}")


if __name__ == "__main__":
    main()
