#!/usr/bin/env python3
"""Checks that each promise of a public header names the test that holds it.

In the public headers, a promise is a list item of a doc comment, and ends with its test:

    /// - A waiter that is stopped leaves the lock as it was, and the next waiter still gets it.
    ///   [test: mutex.a_stopped_waiter_does_not_strand_the_next]

Several tests are separated by commas. An item ends with its test, with an empty line of the comment, with the next item
or with the comment. Every item must name its test; in park and sync, a header that declares a class must hold at least one
promise.
"""
import argparse
import pathlib
import re
import sys

NAMES_ITS_TESTS = ("park", "sync")  # modules in which every class must promise something
TEST = re.compile(r"^\s*(?:TEST|TEST_F|TEST_P|TYPED_TEST|TYPED_TEST_P)\(\s*(\w+)\s*,\s*(\w+)\s*\)", re.M)
ITEM = re.compile(r"^\s*/// - (.*)$")
CONTINUED = re.compile(r"^\s*///[ \t]+(\S.*)$")
TAG = re.compile(r"\[test: ([^\]]+)\]\.?$")
CLASS = re.compile(r"^\s*(?:class|struct)\s[^;]*\{", re.M)


def promises(text):
    """Yields (line, text) for each list item in the doc comments."""
    item, start = None, 0
    for number, line in enumerate([*text.splitlines(), ""], 1):
        found, continued = ITEM.match(line), CONTINUED.match(line)
        if item is not None and (found or not continued or TAG.search(item)):
            yield start, item
            item = None
        if found:
            item, start = found[1].strip(), number
        elif item is not None:
            item += " " + continued[1].strip()


def main():
    parser = argparse.ArgumentParser(prog="tools/contracts.py")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    root = parser.parse_args().root
    tests = {f"{suite}.{name}" for path in (root / "heddle").rglob("*.test.cpp")
             for suite, name in TEST.findall(path.read_text())}
    tests |= {f"compile_fail.{path.stem}" for path in (root / "tests" / "compile_fail").glob("*.cpp")}
    problems, count = [], 0
    for path in sorted((root / "heddle").glob("*/*.hpp")):
        text, held = path.read_text(), 0
        for line, promise in promises(text):
            place = f"{path.relative_to(root)}:{line}"
            tag = TAG.search(promise)
            if tag:
                held += 1
                problems += [f"{place}: there is no test {name}" for name in re.split(r",\s*", tag[1].strip())
                             if name not in tests]
            else:
                problems.append(f"{place}: no test is named for: {promise}")
        count += held
        if path.parent.name in NAMES_ITS_TESTS and not held and CLASS.search(text):
            problems.append(f"{path.relative_to(root)}: declares a class and promises nothing")
    print("\n".join(problems) if problems else f"{count} promises, each with a test")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
