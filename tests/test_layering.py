"""The package's shape: who imports whom, opens files, prints, catches; and how long code may be.

Each rule is a function from a module's source to its breaches, so that the rule itself is tested
below on a few lines that break it.
"""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

import lnmdetect

PACKAGE = Path(lnmdetect.__file__).parent
SIBLINGS = ("io", "transforms", "models", "metrics", "phantom")
RANK = {"": 0, "core": 1, **dict.fromkeys(SIBLINGS, 2)}
RANK |= {"datasets": 3, "training": 4, "stages": 5, "cli": 6, "__main__": 7}
CORE_MAY_USE = {*sys.stdlib_module_names, "numpy", "pydantic", "lnmdetect"}
TORCH_FREE = ("core", "metrics", "phantom")
TORCH = ("torch", "torchvision", "timm")
HEAVY = (*TORCH, "albumentations", "cv2", "matplotlib", "scipy", "pydicom", "numpy")
OPENS_FILES = {
    *("read_text", "read_bytes", "write_text", "write_bytes", "unlink", "savefig", "dcmread"),
    *("imread", "imwrite", "save_file", "load_file", "savez", "savez_compressed", "save_as"),
}
OPENS_FILES_OF = {"np": {"load", "save", "loadtxt"}, "torch": {"load", "save"}}
MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 50
MAX_POSITIONAL = 5


@dataclass(frozen=True)
class Module:
    """One module: its dotted name below the package and its source."""

    name: str
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @property
    def layer(self) -> str:
        return layer_of(self.name)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def calls(self) -> Iterator[ast.Call]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))

    def imports(self) -> Iterator[tuple[int, str]]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def layer_of(dotted_name: str) -> str:
    """The layer of a name below the package: 'io' of 'io.coco', 'cli' of 'cli_train'."""
    first = dotted_name.split(".")[0]
    return "cli" if first.startswith("cli") else first


@cache
def package_modules() -> tuple[Module, ...]:
    modules = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        modules.append(Module(name, path.read_text(encoding="utf-8")))
    return tuple(modules)


def imports_against_the_layers(module: Module) -> Iterator[str]:
    for line, target in module.imports():
        if target.startswith("."):
            yield f"{line}: relative import"
        if not target.startswith("lnmdetect."):
            continue
        target_layer = layer_of(target.removeprefix("lnmdetect."))
        if target_layer not in RANK:  # a name of lnmdetect/__init__.py
            continue
        if target_layer != module.layer and RANK[target_layer] >= RANK[module.layer]:
            yield f"{line}: {module.layer or 'lnmdetect'} imports {target}"


def foreign_imports(module: Module) -> Iterator[str]:
    for line, target in module.imports():
        top = target.split(".")[0]
        if module.layer == "core" and top not in CORE_MAY_USE:
            yield f"{line}: core imports {top}"
        if module.layer in TORCH_FREE and top in TORCH:
            yield f"{line}: {module.layer} imports {top}"


def file_access(module: Module) -> Iterator[str]:
    if module.layer == "io":
        return
    for call in module.calls():
        match call.func:
            case ast.Name(id="open"):
                yield f"{call.lineno}: open()"
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if owner in OPENS_FILES_OF:
                if name in OPENS_FILES_OF[owner]:
                    yield f"{call.lineno}: {owner}.{name}()"
            case ast.Attribute(attr=name) if name in OPENS_FILES or name == "open":
                yield f"{call.lineno}: .{name}()"
            case ast.Name(id=name) if name in OPENS_FILES:
                yield f"{call.lineno}: {name}()"


def prints_and_exits(module: Module) -> Iterator[str]:
    if module.layer == "cli":
        return
    for call in module.calls():
        if ast.unparse(call.func) in ("print", "sys.exit", "exit", "os._exit"):
            yield f"{call.lineno}: {ast.unparse(call.func)}()"


def broad_excepts(module: Module) -> Iterator[str]:
    if module.layer == "cli":
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = "everything" if node.type is None else ast.unparse(node.type)
            if caught == "everything" or {"Exception", "BaseException"} & set(
                caught.strip("()").split(", ")
            ):
                yield f"{node.lineno}: except {caught}"


def star_imports(module: Module) -> Iterator[str]:
    return (f"{line}: {name}" for line, name in module.imports() if name.endswith(".*"))


def backward_calls(module: Module) -> Iterator[str]:
    for call in module.calls():
        if isinstance(call.func, ast.Attribute) and call.func.attr == "backward":
            yield f"{call.lineno}: .backward()"


def oversize(module: Module) -> Iterator[str]:
    lines = module.source.count("\n")
    if lines > MAX_MODULE_LINES:
        yield f"module of {lines} lines"
    for function in module.functions():
        length = code_lines(function)
        if length > MAX_FUNCTION_LINES:
            yield f"{function.lineno}: {function.name} has {length} code lines"


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    length = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        length -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return length


def positional_crowds(module: Module) -> Iterator[str]:
    if module.layer == "cli":  # there the parameters are the options
        return
    for function in module.functions():
        names = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
        count = len([name for name in names if name not in ("self", "cls")])
        if count > MAX_POSITIONAL:
            yield f"{function.lineno}: {function.name} takes {count} positional parameters"


def catch_all_names(module: Module) -> Iterator[str]:
    last = module.name.rsplit(".", 1)[-1]
    if last in ("util", "utils", "helper", "helpers", "common", "misc"):
        yield f"a module called {last}"


Rule = Callable[[Module], Iterator[str]]
RULES: tuple[Rule, ...] = (
    *(imports_against_the_layers, foreign_imports, file_access, prints_and_exits, broad_excepts),
    *(star_imports, oversize, positional_crowds, catch_all_names),
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_module_breaks_the_rule(rule: Rule) -> None:
    breaches = [f"{m.name or 'lnmdetect'}:{found}" for m in package_modules() for found in rule(m)]
    assert not breaches, "\n" + "\n".join(breaches)


def test_at_most_one_backward_call_exists_and_it_is_in_training() -> None:
    found = [module.name for module in package_modules() for _ in backward_calls(module)]
    assert len(found) <= 1
    assert all(name.startswith("training.") for name in found)


BROKEN: tuple[tuple[Rule, str, str], ...] = (
    (imports_against_the_layers, "io.coco", "from lnmdetect.models.anchors import AnchorSet"),
    (imports_against_the_layers, "core.records", "import lnmdetect.io.coco"),
    (imports_against_the_layers, "core.records", "def f():\n    import lnmdetect.io.coco"),
    (imports_against_the_layers, "stages.run", "from lnmdetect import cli"),
    (imports_against_the_layers, "stages.run", "from lnmdetect.cli_train import app"),
    (imports_against_the_layers, "io.coco", "from .json_files import write_json"),
    (foreign_imports, "core.config", "import yaml"),
    (foreign_imports, "metrics.froc", "from torch import nn"),
    (file_access, "stages.run", "def f(p):\n    return open(p)"),
    (file_access, "stages.run", "def f(p):\n    return p.open()"),
    (file_access, "training.fit", "torch.save(1, 'a')"),
    (file_access, "models.cam", "from x import load_file\nload_file('a')"),
    (prints_and_exits, "stages.run", "print(1)"),
    (prints_and_exits, "stages.run", "import sys\nsys.exit(1)"),
    (broad_excepts, "io.coco", "try:\n    pass\nexcept Exception:\n    pass"),
    (broad_excepts, "io.coco", "try:\n    pass\nexcept (OSError, Exception):\n    pass"),
    (broad_excepts, "io.coco", "try:\n    pass\nexcept:\n    pass"),
    (star_imports, "io.coco", "from json import *"),
    (oversize, "io.coco", "\n" * 301),
    (oversize, "io.coco", "def f():\n" + "    pass\n" * 50),
    (positional_crowds, "io.coco", "def f(a, b, c, d, e, g):\n    pass"),
    (catch_all_names, "io.utils", ""),
    (backward_calls, "models.x", "loss.backward()"),
)


@pytest.mark.parametrize(("rule", "name", "source"), BROKEN)
def test_the_rule_sees_its_breach(rule: Rule, name: str, source: str) -> None:
    assert list(rule(Module(name, source)))


SOUND: tuple[tuple[Rule, str, str], ...] = (
    (imports_against_the_layers, "io.coco", "from lnmdetect.io.json_files import write_json"),
    (imports_against_the_layers, "io.coco", "from lnmdetect import __version__"),
    (imports_against_the_layers, "cli", "from lnmdetect.cli_train import app"),
    (file_access, "io.coco", "def f(p):\n    return open(p)"),
    (file_access, "stages.run", "def f(p):\n    p.mkdir()"),
    (prints_and_exits, "cli", "print(1)"),
    (broad_excepts, "io.coco", "try:\n    pass\nexcept OSError:\n    pass"),
    (oversize, "io.coco", "def f():\n    '''a\n    b\n    '''\n" + "    pass\n" * 49),
    (positional_crowds, "io.coco", "def f(self, a, b, c, d, e, *, g):\n    pass"),
)


@pytest.mark.parametrize(("rule", "name", "source"), SOUND)
def test_the_rule_leaves_sound_code_alone(rule: Rule, name: str, source: str) -> None:
    assert not list(rule(Module(name, source)))


@pytest.mark.parametrize(
    ("name", "forbidden"),
    [
        ("lnmdetect.cli", HEAVY),
        ("lnmdetect.stages.evaluate", TORCH),
        ("lnmdetect.stages.evaluation_fused", TORCH),
        ("lnmdetect.stages.split", TORCH),
        ("lnmdetect.stages.split_audit", TORCH),
    ],
)
def test_importing_the_module_loads_no_heavy_package(name: str, forbidden: tuple[str, ...]) -> None:
    code = f"import sys, {name}; print(*(m for m in {forbidden!r} if m in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
