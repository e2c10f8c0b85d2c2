"""Commands as messages suggest them: ready to be pasted into a shell, whatever their paths hold."""

import shlex


def command(*words: object) -> str:
    """``offmanifold`` with these arguments, each quoted where a shell needs it."""
    return shlex.join(["offmanifold", *map(str, words)])


def resuming(run: object) -> str:
    """The command that goes on with a run from its own spec."""
    return command("run", f"{run}/audit.yaml", "--out", run)
