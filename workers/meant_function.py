"""What was meant by a source that names a module and its function in another way than ours."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

# `mygan.load`, `mygan.py:load`, `mygan.py`, `mygan:load()`, `mygan`.
_ALMOST = re.compile(
    r"(?P<module>[A-Za-z_][\w.]*?)(?:\.py)?(?:[:.](?P<function>[A-Za-z_]\w*)?)?(?:\(\))?"
)


def meant_function(path: Path) -> str | None:
    """A hint with the ``module:function`` that a path seems to mean; None where nothing tells.

    The module's file must be there, or installed, and must name the function. Nothing is imported.
    """
    found = _ALMOST.fullmatch(path.name)
    if found is None:
        return None
    module, function = found["module"], found["function"]
    for file in _files(path.parent, module):
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if function is None or re.search(rf"\b{function}\b", text):
            own = file.is_relative_to(path.parent)
            where = f" (import_path: {path.parent})" if own else ""
            return f"did you mean source: {module}:{function or 'FUNCTION'}{where}?"
    return None


def _files(folder: Path, module: str) -> Iterator[Path]:
    inside = folder.joinpath(*module.split("."))
    yield from (inside.with_suffix(".py"), inside / "__init__.py")
    # To find a module in a package, Python would import the package.
    if "." not in module:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError):
            return
        if spec is not None and spec.origin is not None:
            yield Path(spec.origin)
