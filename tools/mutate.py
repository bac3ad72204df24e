#!/usr/bin/env python3
"""Breaks park and sync, one step or one memory order at a time, and demands that the tests notice.

    tools/mutate.py               every mutation of tools/mutations.toml, then a table
    tools/mutate.py NAME...       only these

The sources are copied to a scratch folder and built there once; each mutation then replaces one piece of text, which
must occur exactly once, builds the named test programs again and runs them. A mutation counts as caught when a test
fails, crashes or hangs past its limit; one that does not compile proves nothing and is an error. The exit code is 0 if
all are caught and the unchanged tree passes.
"""
import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
COPIED = ("CMakeLists.txt", "CMakePresets.json", "cmake", "heddle", "tests")
LIMIT = 300  # seconds for all tests of one mutation


class Tree:
    """A scratch copy of the sources with one build."""

    def __init__(self, scratch, preset):
        self.sources = pathlib.Path(scratch)
        self.preset = preset
        for name in COPIED:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, self.sources / name)
        configure = ["cmake", "--preset", preset, "-DHEDDLE_EXAMPLES=OFF", "-DHEDDLE_STOREFRONT=OFF"]
        subprocess.run(configure, cwd=self.sources, check=True, stdout=subprocess.DEVNULL)

    def build(self, programs):
        command = ["cmake", "--build", f"build/{self.preset}", "--target", *programs]
        return subprocess.run(command, cwd=self.sources, capture_output=True, text=True, check=False)

    def test(self, programs, chosen):
        """None if all tests pass, else what the first failing one was."""
        labels = "|".join(f"^{program.removeprefix('heddle_').removesuffix('_test')}$" for program in programs)
        command = ["ctest", "--test-dir", f"build/{self.preset}", "-L", labels, "-j2", "--stop-on-failure",
                   "--timeout", "30", "--no-tests=error", "--schedule-random", *(["-R", chosen] if chosen else [])]
        try:
            done = subprocess.run(command, cwd=self.sources, capture_output=True, text=True, timeout=LIMIT, check=False)
        except subprocess.TimeoutExpired:
            return f"no end within {LIMIT} s"
        if done.returncode == 0:
            return None
        failed = [line.split(" - ", 1)[1] for line in done.stdout.splitlines() if " - " in line and "(" in line]
        return failed[0].strip() if failed else "the tests could not be run"

    def verdict(self, mutation):
        path = self.sources / mutation["file"]
        text = path.read_text()
        if text.count(mutation["from"]) != 1:
            sys.exit(f"{mutation['name']}: the text occurs {text.count(mutation['from'])} times in {mutation['file']}")
        path.write_text(text.replace(mutation["from"], mutation["to"]))
        try:
            programs = mutation["programs"]
            built = self.build(programs)
            if built.returncode != 0:
                sys.exit(f"{mutation['name']}: does not compile\n{built.stdout[-3000:]}")
            return self.test(programs, mutation.get("tests"))
        finally:
            path.write_text(text)


def break_all(tree, mutations):
    """Applies each mutation to the tree and returns the names of those that no test noticed."""
    programs = sorted({program for m in mutations for program in m["programs"]})
    built = tree.build(programs)
    if built.returncode != 0:
        sys.exit(f"the unchanged tree does not build\n{built.stdout[-3000:]}")
    failed = tree.test(programs, None)
    if failed:
        sys.exit(f"the unchanged tree fails: {failed}")
    print(f"{tree.preset}: the unchanged tree passes ({', '.join(programs)})", flush=True)
    survived = []
    for mutation in mutations:
        start = time.monotonic()
        caught = tree.verdict(mutation)
        if not caught:
            survived.append(mutation["name"])
        print(f"{'caught  ' if caught else 'SURVIVED'}  {mutation['name']}: {mutation['why']}"
              f"{'  [' + caught + ']' if caught else ''}  ({time.monotonic() - start:.0f} s)", flush=True)
    return survived


def main():
    listed = tomllib.loads((ROOT / "tools" / "mutations.toml").read_text())["mutation"]
    parser = argparse.ArgumentParser(prog="tools/mutate.py")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(m["name"] for m in listed))
    options = parser.parse_args()
    unknown = set(options.names) - {m["name"] for m in listed}
    if unknown:
        parser.exit(2, f"there is no mutation {', '.join(unknown)}\n")
    chosen = [m for m in listed if not options.names or m["name"] in options.names]

    survived = []
    for preset in dict.fromkeys(m.get("preset", "dev") for m in chosen):
        mutations = [m for m in chosen if m.get("preset", "dev") == preset]
        with tempfile.TemporaryDirectory() as scratch:
            survived += break_all(Tree(scratch, preset), mutations)
    print(f"{len(chosen) - len(survived)} of {len(chosen)} caught")
    sys.exit(bool(survived))


if __name__ == "__main__":
    main()
