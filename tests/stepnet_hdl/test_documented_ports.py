"""Every port says its width, its direction and its meaning where it is declared."""

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest
from amaranth.lib import wiring

import stepnet_hdl
from stepnet_hdl.cores.interface import InferenceCore

PORT = re.compile(
    r"(Stream of )?(\d+ bits?|`[^`]+`( bits| of bytes)?), (?P<direction>in|out): .+\.", re.DOTALL
)
"""What a port's docstring looks like: `1 bit, in: the memory is read in this cycle.`"""


def ports_of(class_, signature_class):
    """The ports that are passed to `super().__init__`, with their directions; None if that is not a
    dictionary which can be read here."""
    for call in ast.walk(signature_class or class_):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "super().__init__":
            if len(call.args) != 1 or not isinstance(call.args[0], ast.Dict):
                return None
            return ports_in(call.args[0])
    return None


def ports_in(members):
    """The ports of a dictionary, and of those in it that are there for some shapes only."""
    ports = {}
    for name, member in zip(members.keys, members.values, strict=True):
        if name is None and isinstance(member, ast.IfExp) and isinstance(member.body, ast.Dict):
            ports |= ports_in(member.body) or {}
        elif isinstance(name, ast.Constant) and isinstance(member, ast.Call):
            ports[name.value] = ast.unparse(member.func).lower()
        else:
            return None
    return ports


def documented_in(class_):
    """The annotated attributes of a class with their docstrings, None where there is none."""
    found = {}
    for attribute, after in zip(class_.body, [*class_.body[1:], None], strict=True):
        if isinstance(attribute, ast.AnnAssign):
            has_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            found[attribute.target.id] = inspect.cleandoc(after.value.value) if has_text else None
    return found


def bundles_and_components(tree):
    """Each class with ports of its own, and for a bundle the class of its signature."""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    signatures = {
        ast.unparse(function.returns): class_
        for class_ in classes
        for function in class_.body
        if isinstance(function, ast.FunctionDef) and function.name == "create"
    }
    for class_ in classes:
        bases = {ast.unparse(base) for base in class_.bases}
        if "wiring.Component" in bases:
            yield class_, None
        elif "wiring.PureInterface" in bases:
            yield class_, signatures[class_.name]


def complaints(tree):
    """What is wrong with the ports of a module, one sentence each."""
    for class_, signature_class in bundles_and_components(tree):
        ports, texts = ports_of(class_, signature_class), documented_in(class_)
        if ports is None:
            yield f"{class_.name} does not say its ports in a dictionary."
            continue
        for name in texts.keys() - ports.keys():
            yield f"{class_.name}.{name} is described but is no port."
        for name, direction in ports.items():
            text = texts.get(name)
            described = PORT.fullmatch(text or "")
            if text is None:
                yield f"{class_.name}.{name} has no docstring."
            elif described is None:
                yield f"{class_.name}.{name} does not say width, direction and meaning: {text!r}"
            elif described["direction"] != direction:
                yield f"{class_.name}.{name} says {described['direction']!r}, but is {direction!r}."
        given = [text for text in texts.values() if text]
        for text in sorted({text for text in given if given.count(text) > 1}):
            yield f"{class_.name} describes several ports by {text!r}."


def modules():
    for found in pkgutil.walk_packages(stepnet_hdl.__path__, "stepnet_hdl."):
        yield importlib.import_module(found.name)


FACES = {"InferenceCore": "CorePorts"}
"""Components whose ports are those of a bundle, which describes them."""


def test_every_port_says_width_direction_and_meaning():
    found = []
    for module in modules():
        tree = ast.parse(Path(module.__file__).read_text())
        found += [
            complaint
            for complaint in complaints(tree)
            if complaint.split()[0].split(".")[0] not in FACES
        ]
    assert found == []


@pytest.mark.parametrize(("component", "bundle"), FACES.items())
def test_a_face_is_that_of_its_bundle(component, bundle):
    module = importlib.import_module("stepnet_hdl.cores.interface")
    classes = {
        node.name: node
        for node in ast.parse(Path(module.__file__).read_text()).body
        if isinstance(node, ast.ClassDef)
    }
    ports = ports_of(classes[bundle], classes["CoreSignature"])
    assert documented_in(classes[component]) == dict.fromkeys(ports)
    assert f"`{bundle}`" in getattr(module, component).__doc__


def test_every_component_and_bundle_is_looked_at():
    """Nobody derives one from another, but for cores from `InferenceCore`."""
    for module in modules():
        tree = ast.parse(Path(module.__file__).read_text())
        seen = {class_.name for class_, _ in bundles_and_components(tree)}
        there = {
            name
            for name, class_ in vars(module).items()
            if inspect.isclass(class_)
            and class_.__module__ == module.__name__
            and issubclass(class_, wiring.Component | wiring.PureInterface)
            and (class_ is InferenceCore or not issubclass(class_, InferenceCore))
        }
        assert seen == there, module.__name__


TOY = '''
class Toy(wiring.Component):
    go: Signal
    """1 bit, in: the toy moves."""
    {changed}

    def __init__(self):
        super().__init__({{"go": In(1), "done": Out(1)}})
'''


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ('done: Signal\n    """1 bit, out: it has moved."""', None),
        ("done: Signal", "Toy.done has no docstring."),
        ("pass", "Toy.done has no docstring."),
        (
            'done: Signal\n    """1 bit: it has moved."""',
            "Toy.done does not say width, direction and meaning: '1 bit: it has moved.'",
        ),
        (
            'done: Signal\n    """Out: it has moved."""',
            "Toy.done does not say width, direction and meaning: 'Out: it has moved.'",
        ),
        ('done: Signal\n    """1 bit, in: it has moved."""', "Toy.done says 'in', but is 'out'."),
        (
            'done: Signal\n    """1 bit, out: it has moved."""\n    gone: Signal',
            "Toy.gone is described but is no port.",
        ),
    ],
)
def test_what_is_missing_is_named(changed, complaint):
    found = list(complaints(ast.parse(TOY.format(changed=changed))))
    assert found == ([complaint] if complaint else [])


def test_ports_that_are_described_by_one_text():
    same = 'done: Signal\n    """1 bit, in: the toy moves."""'
    found = list(complaints(ast.parse(TOY.format(changed=same))))
    assert found[-1] == "Toy describes several ports by '1 bit, in: the toy moves.'."
