#!/usr/bin/env python3
"""Checks that each promise of a public header names the test that holds it, and that tests/ported.md tells the truth.

In the public headers, a promise is a list item of a doc comment, and ends with its test:

    /// - A waiter that is stopped leaves the lock as it was, and the next waiter still gets it.
    ///   [test: mutex.a_stopped_waiter_does_not_strand_the_next]

Several tests are separated by commas. An item ends with its test, with an empty line of the comment, with the next item
or with the comment. Every item must name its test; in park and sync, a header that declares a class must hold at least one
promise.

In tests/ported.md, the last cell of each row of a table names the tests that stand for a case of somebody else's suite,
each in backticks, or begins with `not: ` and says why there is none. The tests must exist.
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
ROW = re.compile(r"^\|.*\|([^|]*)\|$")
RULED = re.compile(r"^[\s:-]*$")
NAMED = re.compile(r"`(\w+\.\w+)`")
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


def ported(text):
    """Yields (line, last cell) for each row of the tables, without their heads."""
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        row = ROW.match(line)
        below = ROW.match(lines[number]) if number < len(lines) else None
        if row and not RULED.match(row[1]) and not (below and RULED.match(below[1])):
            yield number, row[1].strip()


def problems_of_ported(path, tests):
    if not path.exists():
        return
    for line, cell in ported(path.read_text()):
        names = NAMED.findall(cell)
        if not names and not cell.startswith("not: "):
            yield f"tests/ported.md:{line}: neither a test nor `not: ` and a reason"
        yield from (f"tests/ported.md:{line}: there is no test {name}" for name in names if name not in tests)


def main():
    parser = argparse.ArgumentParser(prog="tools/contracts.py")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    root = parser.parse_args().root
    tests = {f"{suite}.{name}" for path in (root / "heddle").rglob("*.test.cpp")
             for suite, name in TEST.findall(path.read_text())}
    tests |= {f"compile_fail.{path.stem}" for path in (root / "tests" / "compile_fail").glob("*.cpp")}
    tests |= {f"model.{path.stem}" for path in (root / "docs" / "models").glob("*.pml")}
    problems, count = list(problems_of_ported(root / "tests" / "ported.md", tests)), 0
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
