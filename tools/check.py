#!/usr/bin/env python3
"""Holds the rules that no compiler knows. Each check is a function that yields one line per violation.

    tools/check.py <check>...     run these, exit 1 if anything is found
    tools/check.py --list         name them
"""
import argparse
import pathlib
import re
import subprocess
import sys

LAYERS = {"base": 0, "sys": 1, "park": 2, "sync": 3, "watch": 3, "task": 4, "exec": 4, "channel": 5, "io": 5,
          "http": 6, "dist": 6, "actor": 6, "process": 6, "inspect": 7}
SOURCE_FOLDERS = ("heddle", "storefront", "examples", "peers", "tests")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]heddle/([a-z_]+)/([^>"]+)[>"]')


def sources(root, *patterns):
    """The project's files that match a pattern, generated and foreign ones left out."""
    for folder in SOURCE_FOLDERS:
        for pattern in patterns:
            yield from sorted((root / folder).rglob(pattern))


def matches(root, paths, regex):
    for path in paths:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.search(regex, line)
            if found:
                yield path.relative_to(root), number, found


def declared_deps(root):
    """What heddle_module() says each module stands on, itself and everything below included."""
    direct = {}
    for path in sorted((root / "heddle").glob("*/CMakeLists.txt")):
        text = re.sub(r"#.*", "", path.read_text())
        found = re.search(r"heddle_module\(\s*(\w+)([^)]*)\)", text)
        if found:
            deps = re.search(r"\bDEPS\b((?:\s+[a-z_]+\b)*)", found[2])
            direct[found[1]] = set(deps[1].split()) if deps else set()
    reachable = {}

    def visit(name, path):
        if name in path:
            return {name}
        if name not in reachable:
            reachable[name] = {name}.union(*(visit(dep, path + [name]) for dep in direct.get(name, ())))
        return reachable[name]

    for name in direct:
        visit(name, [])
    return direct, reachable


def layers(root):
    """An include points only downward, to a module that DEPS name; programs use public headers only.

    Tests and benchmarks of a module may look up: a lock is tested with tasks.
    """
    direct, reachable = declared_deps(root)
    for name, deps in direct.items():
        if name not in LAYERS:
            yield f"heddle/{name}: the module has no layer"
        for dep in deps:
            if LAYERS.get(dep, 99) > LAYERS.get(name, -1):
                yield f"heddle/{name}/CMakeLists.txt: {name} depends on {dep}, which is in a higher layer"
            if name in reachable.get(dep, ()):
                yield f"heddle/{name}/CMakeLists.txt: {name} and {dep} depend on each other"
    for path, number, found in matches(root, sources(root, "*.hpp", "*.cpp"), INCLUDE):
        target, rest = found[1], found[2]
        if path.parts[0] == "heddle" and not re.search(r"\.(test|check|bench)\.cpp$", path.name):
            module = path.parts[1]
            if target not in reachable.get(module, {module}):
                yield f"{path}:{number}: {module} includes {target}, which its DEPS do not reach"
            elif LAYERS.get(target, 99) > LAYERS.get(module, -1):
                yield f"{path}:{number}: {module} includes {target}, which is in a higher layer"
            if rest.startswith("internal/") and target != module and not private_use_allowed(module, target):
                yield f"{path}:{number}: {module} includes a private header of {target}"
        elif path.parts[0] in ("storefront", "examples") and rest.startswith("internal/"):
            yield f"{path}:{number}: a program includes a private header"


def private_use_allowed(module, target):
    """park's private records are what the primitives wait with and what watch reads; nobody else may look inside."""
    return target == "park" or (module == "watch" and target == "sync")


def sleeps(root):
    """A test does not sleep to let something happen: it waits for an event, or polls a condition.

    A member call, `loop.sleep_for(...)`, suspends a task and is what a test of timers is about.
    """
    words = r"(?<![.\w])(sleep_for|sleep_until|usleep|nanosleep|clock_nanosleep|sleep)\s*\("
    for path, number, found in matches(root, sources(root, "*.test.cpp", "*.check.cpp"), words):
        yield f"{path}:{number}: {found[1]}"


def conditionals(root):
    """Platform differences live in heddle/sys/; elsewhere the preprocessor only includes."""
    for path, number, found in matches(root, sources(root, "*.hpp", "*.cpp"), r"^\s*#\s*(if|ifdef|ifndef|elif)\b"):
        if path.parts[:2] != ("heddle", "sys"):
            yield f"{path}:{number}: #{found[1]} outside of heddle/sys/"


def put_off(root):
    """Nothing is switched off, skipped or put off."""
    words = r"\b(DISABLED_\w+|GTEST_SKIP|TO" r"DO|FIX" r"ME|XXX)\b"
    paths = list(sources(root, "*.hpp", "*.cpp", "*.py", "*.sh", "CMakeLists.txt"))
    for path, number, found in matches(root, paths, words):
        yield f"{path}:{number}: {found[1]}"


def names(root):
    """No folder for what has no name."""
    for folder in SOURCE_FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.is_dir() and path.name in ("detail", "util", "utils", "common", "misc"):
                yield f"{path.relative_to(root)}: name the folder after what it holds"
    for path, number, found in matches(root, sources(root, "*.hpp", "*.cpp"), r"\bnamespace\s+(\w+::)*(detail|util)\b"):
        yield f"{path}:{number}: namespace {found[2]}"


def macros(root):
    """Under ten macros in all, each HEDDLE_..."""
    found_names = set()
    for path, number, found in matches(root, sources(root, "*.hpp", "*.cpp"), r"^\s*#\s*define\s+(\w+)"):
        found_names.add(found[1])
        if not found[1].startswith("HEDDLE_"):
            yield f"{path}:{number}: {found[1]} does not begin with HEDDLE_"
    if len(found_names) >= 10:
        yield f"{len(found_names)} macros: {', '.join(sorted(found_names))}"


def files(root):
    """A module's folder tells what it is; a header has its guard; a file stays one concept's size."""
    for folder in sorted((root / "heddle").glob("*/")):
        for wanted in ("README.md", "CMakeLists.txt"):
            if any(folder.iterdir()) and not (folder / wanted).exists():
                yield f"{folder.relative_to(root)}: {wanted} is missing"
    for path in sources(root, "*.hpp"):
        if "#pragma once" not in path.read_text():
            yield f"{path.relative_to(root)}: #pragma once is missing"
    for path in sources(root, "*.hpp", "*.cpp"):
        length = len(path.read_text().splitlines())
        if length > 700:
            yield f"{path.relative_to(root)}: {length} lines, one concept needs fewer"


def formatting(root):
    """clang-format has nothing to change (`clang-format-19 -i FILE` repairs)."""
    paths = [str(path) for path in sources(root, "*.hpp", "*.cpp")]
    if not paths:
        return
    done = subprocess.run(["clang-format-19", "--dry-run", "-Werror", *paths], capture_output=True, text=True)
    places = {}
    for line in done.stderr.splitlines():
        found = re.match(r"(.*?):(\d+):\d+: error: ", line)
        if found:
            places.setdefault(found[1], found[2])
    yield from (f"{pathlib.Path(path).relative_to(root)}:{line}" for path, line in places.items())
    if done.returncode != 0 and not places:
        yield done.stderr.strip()


CHECKS = {check.__name__: check for check in (layers, sleeps, conditionals, put_off, names, macros, files, formatting)}


def main():
    parser = argparse.ArgumentParser(prog="tools/check.py")
    parser.add_argument("checks", nargs="*", metavar="check", help=", ".join(CHECKS))
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{name}: {check.__doc__.splitlines()[0]}" for name, check in CHECKS.items()))
        return
    bad = False
    for name in options.checks or CHECKS:
        found = list(CHECKS[name](options.root))
        if found:
            bad = True
            print(f"{name}: {CHECKS[name].__doc__.splitlines()[0]}")
            print("\n".join(f"  {line}" for line in found))
    sys.exit(bad)


if __name__ == "__main__":
    main()
