"""Pack the Koha plugin into `dist/ils-payment-VERSION.kpz`, which is a zip of `Koha/Plugin/...`.

The same sources give the same file, to the byte: its entries are sorted, stored as they are, and carry the
same old date. The version is that of the program and comes from `ils_payment/__init__.py`.
"""

import re
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "integrations" / "koha"
PLUGIN = "Koha/Plugin/ILSPayment.pm"
PLACE = "{VERSION}"
"""Stands in the plugin where its version is to be."""
OLD = (1980, 1, 1, 0, 0, 0)
READABLE = 0o100644 << 16


def main() -> None:
    """Write the plugin to the folder that is named, or to `dist/`, and print where it is."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist"
    target = folder / f"ils-payment-{version()}.kpz"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries():
            entry = zipfile.ZipInfo(name, OLD)
            entry.create_system, entry.external_attr = 3, READABLE
            archive.writestr(entry, content)
    print(target)


def version() -> str:
    """Return the program's version."""
    text = (ROOT / "ils_payment" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(\d+(?:\.\d+)*)"$', text, re.MULTILINE)
    if not found:
        sys.exit("ils_payment/__init__.py has no version of numbers and points alone, as Koha compares them.")
    return found[1]


def entries() -> list[tuple[str, str]]:
    """Return names and contents of what belongs into the plugin, sorted."""
    paths = [path for path in sorted((SOURCES / "Koha").rglob("*")) if path.suffix in {".pm", ".tt"}]
    found = [(path.relative_to(SOURCES).as_posix(), path.read_text(encoding="utf-8")) for path in paths]
    return [(name, text.replace(PLACE, version()) if name == PLUGIN else text) for name, text in found]


if __name__ == "__main__":
    main()
