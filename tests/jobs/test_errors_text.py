"""What ``offmanifold errors`` counts as one kind."""

from offmanifold.jobs.commands.errors_text import errors_text, kind_of
from offmanifold.jobs.drive.quarantine import FailedItem


def failed(image: str, error: str, line: int = 7) -> FailedItem:
    keys = {
        "generator": "g",
        "condition": None,
        "group": "train",
        "image_id": image,
        "label": None,
        "status": "failed",
        "error": error,
    }
    traceback = f'Traceback (most recent call last):\n  File "a.py", line {line}, in f\n{error}'
    return FailedItem("inversion", "0a", keys, traceback)


def test_one_broken_rule_is_one_line_with_a_count_and_three_examples() -> None:
    many = [
        failed(f"{i:05}", f"ValueError: images/{i}.png: 'rgb{i}' has {i} of -1.5e-3 channels")
        for i in range(50_000)
    ]
    text = errors_text([*many, failed("x", "ValueError: another")])
    first, *rest = text.splitlines()
    assert first.startswith("inversion: 50,000 items, with 50,000 messages of one kind: ValueError")
    assert text.count("shard 0a") == 4
    assert "  and 49,997 more" in rest
    assert "inversion: 1 item: ValueError: another" in rest
    assert text.count("Traceback") == 2


def test_errors_of_other_places_are_other_kinds() -> None:
    same = "ValueError: 3 is wrong"
    assert errors_text([failed("a", same), failed("b", same, line=9)]).count("1 item") == 2
    assert errors_text([failed("a", same), failed("b", same)]).startswith("inversion: 2 items: Val")


def test_a_kind_keeps_the_words() -> None:
    assert kind_of("RuntimeError: class 1 of /a/b.pt is 'x' at 3f2a9c0d11") == (
        "RuntimeError: class … of … is … at …"
    )
    assert kind_of("KeyError: no such face") == "KeyError: no such face"
