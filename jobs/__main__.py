"""``python -m offmanifold.jobs`` is the ``offmanifold`` command, wherever the package lies."""

from .commands.cli import app

if __name__ == "__main__":
    app(prog_name="offmanifold")
