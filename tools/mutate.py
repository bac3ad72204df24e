#!/usr/bin/env python3
"""Breaks park and sync, one step or one memory order at a time, and demands that the tests notice.

tools/mutations.toml lists what is broken. Each mutation replaces one piece of text, which must occur exactly once, in a
copy of its file; the units that it names are compiled with that copy, and linked with one file of tests and the rest of
the build as it is; then the tests that should notice are run. It is caught when one of them fails, crashes, races or
does not end: within 10 s, or ten times what they take unbroken, whichever is longer. One that does not compile or whose
tests do not start proves nothing and is an error.

First the same commands are run with nothing broken, and every test has to pass. The exit code is 0 if it does and all
mutations are caught.

The rest of the build is taken from build/dev and build/tsan, where ./test has left it, or from the folders that the
options name. What is missing or out of date there is configured and built first. The sources stay as they are.
"""
import argparse
import collections
import concurrent.futures
import fnmatch
import os
import pathlib
import re
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIMIT = 10  # seconds; unbroken, the tests of one mutation take less than one
UNBROKEN_LIMIT = 120
COMPILERS = threading.Semaphore(2)
AT_ONCE = 4  # compiled or run; those that hang use no processor
ENVIRONMENT = os.environ | {"TSAN_OPTIONS": "halt_on_error=1"}

Verdict = collections.namedtuple("Verdict", "how seconds passed")  # how: what failed; None if all passed


class Unusable(Exception):
    """A mutation that proves nothing, or a tree that cannot be used."""


def object_of(source):
    """Where the build keeps the object of a source, seen from its folder."""
    _, module, *rest = pathlib.PurePath(source).parts
    target = f"heddle_{module}_test" if source.endswith(".test.cpp") else f"heddle_{module}"
    return f"heddle/{module}/CMakeFiles/{target}.dir/{'/'.join(rest)}.o"


def program_of(tests):
    return f"heddle_{pathlib.PurePath(tests).parts[1]}_test"


class Build:
    """One build folder, from which the commands and all that is not broken are taken."""

    def __init__(self, folder, preset):
        self.folder = folder.resolve()
        # Unoptimized, atomics in line get their orders at run time, and ThreadSanitizer overlooks some that are too weak.
        self.quickly = [] if preset == "tsan" else ["-O0"]
        if not (self.folder / "build.ninja").exists():
            run(["cmake", "--preset", preset, "-B", str(self.folder)], ROOT, "configuring fails")

    def command(self, target):
        """The last command that makes the target."""
        shown = run(["ninja", "-t", "commands", target], self.folder, f"the build does not know {target}")
        return shlex.split(shown.splitlines()[-1])

    def bring_up_to_date(self, test_files):
        libraries = [part for program in {program_of(tests) for tests in test_files} for part in self.command(program)
                     if part.endswith(".a") and not part.startswith("/")]
        wanted = sorted({*libraries, *map(object_of, test_files)})
        run(["ninja", "-j2", *wanted], self.folder, "the unbroken tree does not build")

    def compile(self, source, copies, to):
        """Compiles a source with the broken file in `copies` in the place of its own."""
        command = self.command(object_of(source))
        for option, arguments in (("-MD", 0), ("-MT", 1), ("-MF", 1)):
            at = command.index(option)
            del command[at:at + 1 + arguments]
        command[1:1] = ["-I", str(copies)]
        command[command.index("-o") + 1] = str(to)
        broken = copies / source
        command[command.index("-c") + 1] = str(broken if broken.exists() else ROOT / source)
        run([*command, *self.quickly, "-w"], self.folder, f"{source} does not compile")

    def link(self, tests, objects, to):
        """Links the tests' program from these objects and the unbroken libraries, of which what is there already is not
        taken again."""
        command = [part for part in self.command(program_of(tests))
                   if not part.endswith(".o") or "/tests/support/" in part]
        command = command[command.index("&&") + 1:]
        command = command[:command.index("&&")]
        command[command.index("-o") + 1] = str(to)
        command[1:1] = map(str, objects)
        run(command, self.folder, f"{program_of(tests)} does not link")


def run(command, folder, what):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unusable(f"{what}\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def run_tests(program, chosen, limit):
    start = time.monotonic()
    command = [str(program), f"--gtest_filter={chosen}", "--gtest_break_on_failure"]
    with subprocess.Popen(command, cwd=program.parent, env=ENVIRONMENT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, start_new_session=True) as process:
        try:
            output, hangs = process.communicate(timeout=limit)[0], False
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, hangs = process.communicate()[0], True
    output = output.decode(errors="replace")
    passed = re.findall(r"^\[       OK \] (\S+)", output, re.M)
    started = re.findall(r"^\[ RUN      \] (\S+)", output, re.M)
    how = None
    if hangs or process.returncode != 0:
        if not started:
            raise Unusable(f"the tests do not start\n{output[-3000:]}")
        failure = re.search(r"^\S*?([^/\s]+:\d+): Failure", output, re.M)
        if hangs:
            what = f"does not end within {limit:.0f} s"
        elif "ThreadSanitizer: data race" in output:
            what = "races"
        elif failure:
            what = f"fails at {failure[1]}"
        else:
            what = f"crashes with {process.returncode}"
        how = f"{started[-1]} {what}"
    return Verdict(how, time.monotonic() - start, passed)


def try_out(build, compiled, tests, chosen, limit, change=None):
    """Compiles, links and runs; `change` is what is broken."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        if change is not None:
            text = (ROOT / change["file"]).read_text()
            if text.count(change["from"]) != 1:
                raise Unusable(f"the text occurs {text.count(change['from'])} times in {change['file']}")
            copy = folder / change["file"]
            copy.parent.mkdir(parents=True)
            copy.write_text(text.replace(change["from"], change["to"]))
        objects = [folder / f"{number}.o" for number in range(len(compiled))]
        program = folder / "tests"
        with COMPILERS:
            for source, to in zip(compiled, objects):
                build.compile(source, folder, to)
            unbroken = [] if tests in compiled else [object_of(tests)]
            build.link(tests, [*objects, *unbroken], program)
        return run_tests(program, chosen, limit)


def program_key(mutation):
    """Mutations with the same one differ in nothing but what is broken."""
    return mutation.get("preset", "dev"), tuple(mutation.get("compiled", [mutation["file"]])), mutation["tests"]


def try_unbroken(pool, builds, mutations):
    """Returns the time limit for the mutants of each program."""
    chosen = collections.defaultdict(dict)
    for mutation in mutations:
        chosen[program_key(mutation)].update(dict.fromkeys(mutation["noticed_by"]))
    running = {key: pool.submit(try_out, builds[key[0]], key[1], key[2], ":".join(names), UNBROKEN_LIMIT)
               for key, names in chosen.items()}
    limits = {}
    for key, future in running.items():
        verdict = future.result()
        if verdict.how is not None:
            raise Unusable(f"the unbroken tree fails: {verdict.how}")
        for name in chosen[key]:
            if not fnmatch.filter(verdict.passed, name):
                raise Unusable(f"{key[2]} has no test {name}")
        limits[key] = max(LIMIT, 10 * verdict.seconds)
    count = sum(len(names) for names in chosen.values())
    print(f"unbroken, all pass: {count} tests in {len(chosen)} programs", flush=True)
    return limits


def break_all(pool, builds, mutations, limits):
    """Prints what became of each mutation, in their order; returns how many were not caught."""
    running = [pool.submit(try_out, builds[program_key(m)[0]], *program_key(m)[1:], ":".join(m["noticed_by"]),
                           limits[program_key(m)], m) for m in mutations]
    missed = 0
    for mutation, future in zip(mutations, running):
        try:
            verdict = future.result()
        except Unusable as error:
            print(f"UNUSABLE         {mutation['name']}: {error}", flush=True)
            missed += 1
            continue
        missed += verdict.how is None
        print(f"{'SURVIVED' if verdict.how is None else 'caught  '} {verdict.seconds:5.1f} s  {mutation['name']}: "
              f"{mutation['why']}{'  [' + verdict.how + ']' if verdict.how else ''}", flush=True)
    return missed


def main():
    listed = tomllib.loads((ROOT / "tools" / "mutations.toml").read_text())["mutation"]
    parser = argparse.ArgumentParser(prog="tools/mutate.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", type=pathlib.Path, default=ROOT / "build" / "dev", help="the plain build")
    parser.add_argument("--tsan", type=pathlib.Path, default=ROOT / "build" / "tsan", help="that with ThreadSanitizer")
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help="only these mutations: " + ", ".join(m["name"] for m in listed))
    options = parser.parse_args()
    unknown = set(options.names) - {m["name"] for m in listed}
    if unknown:
        parser.exit(2, f"there is no mutation {', '.join(sorted(unknown))}\n")
    mutations = [m for m in listed if not options.names or m["name"] in options.names]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # those that crash are meant to

    start = time.monotonic()
    try:
        builds = {}
        for preset in sorted({program_key(m)[0] for m in mutations}):
            builds[preset] = Build(getattr(options, preset), preset)
            builds[preset].bring_up_to_date({m["tests"] for m in mutations if program_key(m)[0] == preset})
            print(f"{preset}: built, after {time.monotonic() - start:.0f} s", flush=True)
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            missed = break_all(pool, builds, mutations, try_unbroken(pool, builds, mutations))
    except Unusable as error:
        sys.exit(str(error))
    print(f"{len(mutations) - missed} of {len(mutations)} caught, in {time.monotonic() - start:.0f} s")
    sys.exit(missed != 0)


if __name__ == "__main__":
    main()
