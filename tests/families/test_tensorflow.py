"""TensorFlow's StyleGANs: known by their structure, and refused with what to do instead."""

import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from offmanifold.workers.checkpoints.opening import open_checkpoint
from offmanifold.workers.generator_errors import GeneratorError


def write_pickle(path: Path, version: int) -> Path:
    """Three networks as dnnlib pickles them: a version, source, settings, variables."""
    names = ["dnnlib", "dnnlib.tflib", "dnnlib.tflib.network"]
    modules = {name: ModuleType(name) for name in names}
    kind: Any = type("Network", (), {"__module__": names[-1]})
    modules[names[-1]].Network = kind  # type: ignore[attr-defined]

    def network(name: str, components: dict[str, Any]) -> Any:
        found = kind()
        found.__dict__ |= {
            "version": version,
            "name": name,
            "static_kwargs": {"resolution": 8, "fmap_base": 64},
            "components": components,
            "build_module_src": "raise RuntimeError('the source in a pickle was run')",
            "build_func_name": "G_main",
            "variables": [("lod", np.float32(0)), ("dlatent_avg", np.zeros(8, np.float32))],
        }
        return found

    content = tuple(network(name, {"synthesis": network(name, {})}) for name in ("G", "D", "Gs"))
    sys.modules.update(modules)
    try:
        path.write_bytes(pickle.dumps(content))
    finally:
        for name in names:
            del sys.modules[name]
    return path


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (4, r"TensorFlow's StyleGAN2, which is not read: convert it with 'python legacy\.py"),
        (3, "TensorFlow's StyleGAN of 2019, which is not read"),
    ],
)
def test_it_is_refused_with_what_to_do(version: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match=message):
        open_checkpoint(write_pickle(tmp_path / "network.pkl", version))


def test_another_list_is_told_as_before(tmp_path: Path) -> None:
    (tmp_path / "network.pkl").write_bytes(pickle.dumps((1, [2], {"static_kwargs": 3})))
    with pytest.raises(GeneratorError, match="without a network under 'G_ema'"):
        open_checkpoint(tmp_path / "network.pkl")
