"""What a generator is opened from, as a spec, a plan and a shard's settings say it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..cluster.locations import is_remote
from .user_networks import UserNetwork

SHIPPED_PREFIX = "shipped:"
# An object that a Python program has given under a name.
GIVEN_PREFIX = "object:"
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class ClassMember:
    """The generator of one class in a set: the class's name and number, what it is opened from."""

    name: str
    number: int
    source: "GeneratorSource"


@dataclass(frozen=True)
class GeneratorSource:
    """All that opening a generator takes, but for the S3 service.

    ``source`` is ``shipped:NAME``; ``object:NAME``, a generator that this process was given; a
    folder with ``model.safetensors`` and ``config.json``; or ``module:function``, a callable
    without arguments that returns a Generator, imported with ``import_path`` first on ``sys.path``.
    Only the last runs code of the user's; nothing runs from a weights file. With a ``family`` of
    published generators, ``source`` is a checkpoint file of it; ``truncation`` is that of the
    latents, for families that have one, ``key`` where in the file the generator lies, if there are
    several, ``classes`` how many of its inputs are classes and ``mixed_precision`` whether training
    used half precision too, for families whose files do not say it. With a ``network``, it is a
    file of the user's that holds the network so described. Folder and file may lie at an ``s3://``
    address. A relative path counts from ``import_path``, by default the working directory. With
    ``members`` it is the set of these, in the order of their numbers, and ``source`` is what
    messages call it.
    """

    source: str
    import_path: str | None = None
    family: str | None = None
    truncation: float | None = None
    network: UserNetwork | None = None
    key: str | None = None
    classes: int | None = None
    mixed_precision: bool | None = None
    members: tuple[ClassMember, ...] = ()

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, of the package's or of the user's."""
        is_file = self.family is not None or self.network is not None
        return not (is_file or self.members or self.is_function or self.is_given)

    @property
    def is_given(self) -> bool:
        """Whether it is an object of the running program."""
        is_file = self.family is not None or self.network is not None
        return not (is_file or self.members) and self.source.startswith(GIVEN_PREFIX)

    @property
    def is_function(self) -> bool:
        """Whether it is a user's ``module:function``."""
        return (
            self.family is None
            and self.network is None
            and not self.members
            and not self.source.startswith((SHIPPED_PREFIX, GIVEN_PREFIX))
            and _FUNCTION.fullmatch(self.source) is not None
        )

    @property
    def runs_code(self) -> bool:
        """Whether opening it runs a program of the user's: a module, an object, or a file's."""
        if self.network is not None:
            return self.network.format != "onnx"
        own = self.is_function or self.is_given
        return own or any(member.source.runs_code for member in self.members)

    @property
    def is_remote(self) -> bool:
        """Whether it lies in a bucket."""
        return not self.members and is_remote(self.source)

    def settings(self, weights: str) -> dict[str, Any]:
        """The same in plain values, as a shard's settings hold it.

        ``weights`` is the SHA-256 that the worker must find, and makes them part of the shard's id.
        """
        return {**self._values, "weights": weights}

    def identity(self, weights: str) -> list[Any]:
        """What its images depend on besides latent and class, wherever the file lies.

        ``weights`` is the SHA-256 of its description. One file may hold several generators, by key,
        by function or by what is said of it.
        """
        function = self.source if self.is_function else None
        return [
            weights,
            self.family,
            self.truncation,
            None if self.network is None else self.network.settings,
            *(
                value
                for value in (self.key, self.classes, self.mixed_precision, function)
                if value is not None
            ),
        ]

    @property
    def _values(self) -> dict[str, Any]:
        given = {
            "key": self.key,
            "classes": self.classes,
            "mixed_precision": self.mixed_precision,
        }
        members = [[each.name, each.number, each.source._values] for each in self.members]
        return {
            "source": self.source,
            "import_path": self.import_path,
            "family": self.family,
            "truncation": self.truncation,
            **({} if self.network is None else {"network": self.network.settings}),
            **{name: value for name, value in given.items() if value is not None},
            **({"members": members} if members else {}),
        }

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "GeneratorSource":
        """From a shard's settings, which may hold more."""
        network = settings.get("network")
        return cls(
            settings["source"],
            settings["import_path"],
            settings["family"],
            settings["truncation"],
            None if network is None else UserNetwork.of(network),
            settings.get("key"),
            settings.get("classes"),
            settings.get("mixed_precision"),
            tuple(
                ClassMember(name, number, cls.of(values))
                for name, number, values in settings.get("members", ())
            ),
        )
