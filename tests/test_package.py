"""The package as it is installed: its list of folders, its wheel, its start-up time."""

import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
from offmanifold.core.guided_run import GuidedEstimate
from offmanifold.core.settings.guided import GuidedSettings

ROOT = Path(__file__).resolve().parent.parent
CODE = ("core", "workers", "cluster", "jobs")


def test_every_folder_with_code_is_in_the_wheel() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = settings["tool"]["setuptools"]["packages"]
    folders = {
        "offmanifold." + ".".join(path.parent.relative_to(ROOT).parts)
        for top in CODE
        for path in (ROOT / top).rglob("*.py")
    }
    assert sorted(packages) == sorted({"offmanifold", *folders})
    for folder in folders:
        assert (ROOT / Path(*folder.split(".")[1:]) / "__init__.py").exists(), folder


def test_no_other_module_lies_at_the_root() -> None:
    assert [path.name for path in ROOT.glob("*.py")] == ["__init__.py"]


def test_the_command_imports_nothing_heavy_to_start() -> None:
    program = (
        "import sys; import offmanifold.jobs.commands.cli; "
        "print(sorted({'torch', 'ray', 'pandas', 'sklearn', 'matplotlib', 'pydantic', 'pyarrow'}"
        " & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.ci
def test_the_example_on_tensors_runs_as_the_readme_has_it() -> None:
    (program,) = re.findall(
        r"### AIS and inversion as functions on tensors.*?```python\n(.*?)```",
        (ROOT / "README.md").read_text(),
        re.DOTALL,
    )
    names: dict[str, object] = {}
    exec(program, names)
    found = names["found"]
    assert isinstance(found, GuidedEstimate)
    audit = GuidedSettings()
    assert set(found.transitions.tolist()) == {audit.transitions}
    assert set(found.restarts.tolist()) == {audit.restarts}
    assert (found.upper_bound - found.log_likelihood).mean() < 5


# It starts a Ray, and two cores are too few for two at once.
@pytest.mark.xdist_group("ray")
@pytest.mark.slow
@pytest.mark.ci
def test_the_wheel_runs_an_audit_outside_the_checkout(tmp_path: Path) -> None:
    # What builds it is here, and so is a pip: neither is installed anew.
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    build += ["--outdir", str(tmp_path / "dist"), "."]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    # The dependencies of this environment, without its editable installation: a plain path in a
    # .pth file does not run the other .pth files of that folder.
    here = sysconfig.get_paths()["purelib"]
    (site,) = (environment / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(here + "\n")
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    install = [sys.executable, "-m", "pip", "--python", str(python)]
    install += ["install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, capture_output=True, check=True)
    where = subprocess.run(
        [str(python), "-c", "import offmanifold; print(offmanifold.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(environment)
    groups = ("train", "test", "generated", "simulated", "null", "single_colour")
    sizes = [f"groups.{group}.count=4" for group in (*groups, "natural_patches")]
    short = ["stages.likelihood.transitions=5", "stages.variance.estimator=profile"]
    search = {"restarts": 4, "bank": 100, "iterations": 5, "finalists": 2}
    search |= {"final_iterations": 5, "polish": 1}
    for stage in ("inversion", "likelihood"):
        short += [f"stages.{stage}.{name}={value}" for name, value in search.items()]
    # They read no file of the package that others do not.
    without = ["comparison", "convergence", "sweep"]
    without += ["sensing", "diversity", "annotator", "class_shares"]
    short += [f"stages.{stage}=null" for stage in without]
    settings = [part for setting in sizes + short for part in ("--set", setting)]
    command = [str(environment / "bin" / "offmanifold"), "run", "digits", "--out", "run", *settings]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "report.html").exists()
