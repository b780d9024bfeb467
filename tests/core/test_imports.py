"""Imports point one way, and what must answer quickly imports nothing heavy."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import tunesmith

SOURCE = Path(tunesmith.__file__).parent
LAYERS = [
    {"errors", "messages"},
    {"records", "config", "artifact", "proof", "batch", "recipe"},
    {"formats", "text"},
    {"data"},
    {"models"},
    {"objectives"},
    {"tune", "evaluate", "chat", "export", "serve"},
    {"stages"},
    {"recipes"},
    {"cli", "__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def imports(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tunesmith"):
            parts = node.module.split(".")
            names = [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
            yield from ((name, node.lineno) for name in names)


def test_no_module_imports_from_a_later_layer():
    wrong = []
    for path in SOURCE.rglob("*.py"):
        own = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        for name, line in imports(path):
            if name in LEVEL and LEVEL[name] > LEVEL[own]:
                wrong.append(f"{path.relative_to(SOURCE)}:{line} imports {name}")
    assert wrong == []


def test_core_formats_templates_recipes_and_help_import_no_torch():
    code = (
        "import sys, tunesmith.records, tunesmith.config, tunesmith.recipes, tunesmith.formats, tunesmith.text.render,"
        " tunesmith.text.template, tunesmith.cli.main;"
        "print([m for m in ('torch', 'transformers', 'pyarrow', 'matplotlib', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_module_knows_a_model_by_its_name():
    """A comparison with a model type or architecture string would be a list of models in disguise."""
    wrong = []
    for path in SOURCE.rglob("*.py"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(r"(config\.model_type|architectures)\W.*(==| in )", line):
                wrong.append(f"{path.name}:{number}")
    assert wrong == []
