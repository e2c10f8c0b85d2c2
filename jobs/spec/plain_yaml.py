"""YAML that others may have written: plain values, or a refusal that says where; never a long wait.

A few lines of YAML may stand for billions of values, by aliases and merged mappings, and of a key
that is there twice the library keeps the last.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

# A thousand groups have half of it, a map of the classes of all of ImageNet as many.
_MOST_NODES = 200_000
_DEEPEST = 50
_LONGEST_REASON = 500
_LONGEST_NUMBER = 40
_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"
_FLOAT = "tag:yaml.org,2002:float"
_NUMBERS = ("tag:yaml.org,2002:int", _FLOAT)
# Of YAML 1.2: the library's 1.1 asks for a point before the exponent, and a sign in it. Of three
# digits and more an exponent is of no number, but part of a hash.
_EXPONENT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]{1,2}$")
_FIRST = list("+-.0123456789")


class YamlError(ValueError):
    """Text is not YAML, or holds more than plain values; the message says where."""


def parse_yaml(text: str) -> Any:
    """Mappings, lists, text, numbers, dates and truth values out of YAML.

    Raises:
        YamlError: not YAML; with a tag, a key twice in one mapping, a value in itself, or far too
            many values.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _Judge(loader).size(node, set())
        return loader.construct_document(node)
    except YamlError:
        raise
    except yaml.YAMLError as error:
        raise YamlError(f"not valid YAML: {str(error)[:_LONGEST_REASON]}") from error
    except RecursionError as error:
        raise YamlError("nested too deeply") from error
    except (ValueError, ArithmeticError, TypeError) as error:
        # Such as a date in the thirteenth month.
        raise YamlError(f"not valid YAML: {str(error)[:_LONGEST_REASON]}") from error
    finally:
        loader.dispose()


def dump_yaml(value: Any, **form: Any) -> str:
    """YAML that `parse_yaml` reads back as it was: text that looks like a number is quoted.

    ``form`` is as of the library's ``dump``.
    """
    text: str = yaml.dump(value, Dumper=_Dumper, **form)
    return text


class _Dumper(yaml.SafeDumper):
    """Quotes what `_Loader` would take for a number."""


def _whole(dumper: yaml.SafeDumper, value: int) -> yaml.Node:
    return dumper.represent_data(int(value))


def _real(dumper: yaml.SafeDumper, value: float) -> yaml.Node:
    return dumper.represent_data(float(value))


class _Loader(yaml.SafeLoader):
    """Takes no tags, and stops at too many values before it has read them all."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._count = self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """As the library's, with a count."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        tag = getattr(event, "tag", None)
        if tag is not None and not isinstance(event, yaml.AliasEvent):
            raise YamlError(
                f"a spec holds plain values, and tags such as !!python/name are refused: "
                f"{tag[:80]!r} in {_line(event)}; remove the tag"
            )
        self._count += 1
        self._depth += 1
        if self._count > _MOST_NODES:
            raise YamlError(f"it holds more than {_MOST_NODES:,} values")
        if self._depth > _DEEPEST:
            raise YamlError(f"nested too deeply in {_line(event)}")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver(_FLOAT, _EXPONENT, _FIRST)
# Numbers of an environment's variable are of classes of their own.
_Dumper.add_multi_representer(int, _whole)
_Dumper.add_multi_representer(float, _real)


class _Judge:
    """Refuses what is too much once aliases and merges are written out, and keys that clash."""

    def __init__(self, loader: _Loader) -> None:
        self._loader = loader
        self._sizes: dict[int, int] = {}

    def size(self, node: yaml.Node, above: set[int]) -> int:
        """How many values a node stands for; ``above`` are those that it is in."""
        if id(node) in above:
            raise YamlError(f"the value in {_line(node)} holds itself")
        if id(node) in self._sizes:
            return self._sizes[id(node)]
        if isinstance(node, yaml.MappingNode):
            self._require_keys_once(node)
        elif node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
            raise YamlError(f"the number in {_line(node)} has {len(node.value):,} characters")
        inside = above | {id(node)}
        found = 1 + sum(self.size(inner, inside) for inner in _inside(node))
        if found > _MOST_NODES:
            raise YamlError(
                f"with its aliases and merges written out, the value in {_line(node)} is more than "
                f"{_MOST_NODES:,} values"
            )
        self._sizes[id(node)] = found
        return found

    def _require_keys_once(self, node: yaml.MappingNode) -> None:
        """Keys that are merged in may be there again, and give way."""
        seen: dict[str, yaml.Node] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise YamlError(f"the key in {_line(key)} is a list or a mapping, expected text")
            if key.tag == _FLOAT and _EXPONENT.match(key.value):
                # A key is a name: 12e4 may be a folder's.
                key.tag = _TEXT
            self.size(key, set())
            if key.tag == _MERGE:
                continue
            # As text: a map of classes takes 7 and "7" for the same.
            name = str(self._loader.construct_object(key))
            if name in seen:
                raise YamlError(
                    f"the key {name[:80]!r} is there twice, in {_line(seen[name])} and in "
                    f"{_line(key)}: remove one"
                )
            seen[name] = key


def _inside(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _line(place: Any) -> str:
    return f"line {place.start_mark.line + 1}"
