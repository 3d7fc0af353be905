"""Text is read and written as UTF-8, whatever the locale says: every call names the encoding."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(path for room in ("benchmarks", "methods", "workflow") for path in (ROOT / room).rglob("*.py"))
BINARY = {"Image.open", "gzip.open", "os.open", "tarfile.open"}  # unless asked otherwise


def in_binary(call: ast.Call) -> bool:
    words = [*call.args, *(word.value for word in call.keywords if word.arg == "mode")]
    modes = [word.value for word in words if isinstance(word, ast.Constant) and isinstance(word.value, str)]
    return any("b" in mode and len(mode) <= 3 for mode in modes)


def without_encoding(text: str) -> list[str]:
    """Return the calls that take whatever encoding the locale has."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        given = {word.arg for word in node.keywords}
        opens = name in ("open", "fdopen", "NamedTemporaryFile") and not in_binary(node)
        speaks = name in ("run", "Popen", "check_output") and given & {"text", "universal_newlines"}
        if (
            (name in ("read_text", "write_text") or opens or speaks)
            and "encoding" not in given
            and ast.unparse(node.func) not in BINARY
        ):
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_text_file_is_utf8(path):
    assert without_encoding(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text", ["p.read_text()", "p.write_text(x)", "open(p)", "p.open(newline='')", "subprocess.run(c, text=True)"]
)
def test_the_search_finds(text):
    assert without_encoding(text)
    assert not without_encoding(
        text[:-1] + ", encoding='utf-8')" if text[-2] != "(" else text[:-1] + "encoding='utf-8')"
    )
