"""A user's own ``module:function``: imported and called."""

import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from ..cluster.regular_file import read_regular
from ..core.generators.native_range import NativeRangeError
from .generator_errors import GeneratorError
from .meant_function import meant_function

# Of a job on a cluster: the folder with the copy of the user's modules that travelled with it. The
# spec's own folder stays part of the shards' identity, and may lie there too, with other modules.
MODULES_VARIABLE = "OFFMANIFOLD_MODULES"

FAILURES = (Exception, SystemExit)
"""What a user's code may raise instead of what is asked of it: a script ends by sys.exit."""


def told(error: BaseException, *, brief: bool = False) -> str:
    """What a user's code raised, in words; of the end of a program, what to do about it.

    In ``brief`` the last line, where torch has the point of a long message.
    """
    lines = str(error).strip().splitlines()[-1:] if brief else [str(error)]
    found = f"{type(error).__name__}: {''.join(lines)}"
    if not isinstance(error, SystemExit):
        return found
    return (
        f"{found}, which ends the program: put what a script does under "
        'if __name__ == "__main__":, and call sys.exit nowhere else'
    )


def call_function(what: str, source: str, base_dir: str | Path | None) -> tuple[Any, str]:
    """Calls ``module:function``, which gives ``what``: a generator, or a classifier.

    Returns:
        What it gave, and the SHA-256 of the source file that holds the function.

    Raises:
        GeneratorError: the function is not found or fails.
    """
    module_name, _, name = source.partition(":")
    folder = Path(os.environ.get(MODULES_VARIABLE) or base_dir or ".")
    try:
        module = _import(what, source, module_name, folder.resolve())
    except GeneratorError as error:
        meant = meant_function(folder.resolve() / source)
        if meant is None or f"source: {source}" in meant:
            raise
        raise GeneratorError(f"{error}; {meant}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise GeneratorError(
            f"{what} '{source}': '{module_name}' ({module.__file__ or 'a folder'}) has no "
            f"function '{name}'; expected a callable without arguments that returns the {what}"
        )
    try:
        made = function()
    except NativeRangeError as error:
        raise GeneratorError(f"{what} '{source}': {name}(): {error}") from error
    except FAILURES as error:
        raise GeneratorError(f"{what} '{source}': {name}() raised {told(error)}") from error
    return made, hashlib.sha256(read_regular(Path(_file_of(function, module)))).hexdigest()


def _file_of(function: Any, module: ModuleType) -> str:
    """The source file of a function; the module's of what has none, such as a partial."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(function))
    except TypeError:
        file = None
    return file or module.__file__ or ""


def _import(what: str, source: str, name: str, base_dir: Path) -> ModuleType:
    """Imports a module with ``base_dir`` first on the path, where it stays for later imports."""
    if sys.path[:1] != [str(base_dir)]:
        sys.path.insert(0, str(base_dir))
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(name)
    except FAILURES as error:
        raise GeneratorError(
            f"{what} '{source}': importing '{name}' with {base_dir} first on the import path "
            f"raised {told(error)}"
        ) from error
    own = [base_dir.joinpath(*name.split(".")).with_suffix(".py")]
    own.append(own[0].with_suffix("") / "__init__.py")
    found = Path(module.__file__ or "").resolve()
    if any(file.is_file() for file in own) and found not in [file.resolve() for file in own]:
        raise GeneratorError(
            f"{what} '{source}': this process has already imported '{name}' from {found}; "
            f"rename one of the two modules"
        )
    return module
