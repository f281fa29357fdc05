"""Write a CycloneDX bill of materials of what an installation with all extras needs, from `uv.lock` alone.

uv lists the components with addresses and digests; their licences come from the metadata of what is installed
here. The same lock gives the same file, to the byte: there is no time and no random number in it.
"""

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "dist" / "sbom.json"
COMMAND = ["export", "--quiet", "--frozen", "--offline", "--all-extras", "--no-dev"]
FORMAT = ["--preview-features", "sbom-export", "--format", "cyclonedx1.5"]


def main() -> None:
    """Write the bill and say how much is in it."""
    bill = made()
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(json.dumps({"sbom": TARGET.relative_to(ROOT).as_posix(), "components": len(bill["components"])}))


def made() -> dict[str, Any]:
    """Return the bill."""
    uv = Path(sys.executable).with_name("uv")
    text = subprocess.run([uv, *COMMAND, *FORMAT], cwd=ROOT, check=True, capture_output=True).stdout
    bill: dict[str, Any] = json.loads(text)
    # Both differ from run to run and tell nothing.
    bill.pop("serialNumber")
    bill["metadata"].pop("timestamp")
    bill["metadata"]["component"].update(version=_version(), licenses=[{"expression": "EUPL-1.2"}])
    for component in bill["components"]:
        component["licenses"] = _licences(component["name"])
    return bill


def _version() -> str:
    found = re.search(r'__version__ = "([^"]+)"', (ROOT / "ils_payment" / "__init__.py").read_text("utf-8"))
    return found[1] if found else "unknown"


def _licences(name: str) -> list[dict[str, Any]]:
    """Return what the component says of its licence; nothing for one that is for other machines only."""
    try:
        said = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return []
    if "License-Expression" in said:
        return [{"expression": said["License-Expression"]}]
    classes = said.get_all("Classifier") or []
    named = [one.rpartition(" :: ")[2] for one in classes if one.startswith("License ::")]
    if not named and "License" in said:
        named = said["License"].splitlines()[:1]
    return [{"license": {"name": one}} for one in named]


if __name__ == "__main__":
    main()
