#!/usr/bin/env python3
"""Keeps the code in the documentation equal to code that is compiled.

A fenced C++ block stands under a comment that names where it is quoted from:

    <!-- quote: examples/increment.cpp#increment -->
    ```cpp
    ...
    ```

In the quoted file, the lines between `// [increment]` and `// [/increment]` are the region. Without `#region`, the
whole file is quoted. With --fix, the blocks are rewritten from the files.
"""
import argparse
import pathlib
import re
import sys
import textwrap

DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/guide/**/*.md", "docs/adr/**/*.md",
             "heddle/*/README.md", "examples/README.md", "storefront/README.md")
BLOCK = re.compile(r"(?P<quote><!-- quote: (?P<source>\S+) -->\n)?^```(?:cpp|c\+\+)\n(?P<body>.*?)^```$", re.M | re.S)


def region_of(root, source):
    """The quoted text, or a string that says why there is none."""
    name, _, region = source.partition("#")
    path = root / name
    if not path.is_file():
        return None, f"{name} does not exist"
    text = path.read_text()
    if region:
        found = re.search(rf"^[ \t]*// \[{re.escape(region)}\]\n(.*?)^[ \t]*// \[/{re.escape(region)}\]$", text, re.M | re.S)
        if not found:
            return None, f"{name} has no region [{region}]"
        text = found[1]
    return textwrap.dedent(text), None


def check(root, path, fix):
    text = path.read_text()
    problems = []

    def visit(found):
        line = text.count("\n", 0, found.start()) + 1
        if not found["quote"]:
            problems.append(f"{path.relative_to(root)}:{line}: a C++ block that is not quoted from a file")
            return found[0]
        wanted, problem = region_of(root, found["source"])
        if problem:
            problems.append(f"{path.relative_to(root)}:{line}: {problem}")
        elif wanted != found["body"] and not fix:
            problems.append(f"{path.relative_to(root)}:{line}: differs from {found['source']} (tools/quotes.py --fix)")
        return f"{found['quote']}```cpp\n{wanted if wanted is not None else found['body']}```"

    rewritten = BLOCK.sub(visit, text)
    if fix and rewritten != text:
        path.write_text(rewritten)
    return problems


def main():
    parser = argparse.ArgumentParser(prog="tools/quotes.py")
    parser.add_argument("--fix", action="store_true", help="rewrite the blocks from the files they quote")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    options = parser.parse_args()
    paths = sorted({path for pattern in DOCUMENTS for path in options.root.glob(pattern)})
    problems = [problem for path in paths for problem in check(options.root, path, options.fix)]
    print("\n".join(problems))
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
