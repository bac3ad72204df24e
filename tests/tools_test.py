"""The checks in tools/ find what they look for: each is shown a small tree that breaks its rule."""
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Tree(unittest.TestCase):
    """A scratch tree, and a way to run a tool on it."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name)

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def module(self, name, deps=""):
        self.write(f"heddle/{name}/CMakeLists.txt", f"heddle_module({name}{' DEPS ' + deps if deps else ''})\n")
        self.write(f"heddle/{name}/README.md", "what is here\n")

    def run_tool(self, *command):
        done = subprocess.run([sys.executable, str(ROOT / "tools" / command[0]), "--root", str(self.root), *command[1:]],
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def assert_passes(self, *command):
        code, output = self.run_tool(*command)
        self.assertEqual((code, output.strip() if command[0] == "check.py" else ""), (0, ""), output)

    def assert_finds(self, expected, *command):
        code, output = self.run_tool(*command)
        self.assertEqual(code, 1, output)
        self.assertIn(expected, output)


class Checks(Tree):
    def test_an_include_that_points_up_is_found(self):
        self.module("base")
        self.module("sync", "base")
        self.write("heddle/sync/mutex.hpp", "#pragma once\n#include <heddle/base/fatal.hpp>\n")
        self.write("heddle/base/fatal.test.cpp", "#include <heddle/sync/mutex.hpp>\n")
        self.assert_passes("check.py", "layers")
        self.write("heddle/base/fatal.hpp", "#pragma once\n#include <heddle/sync/mutex.hpp>\n")
        self.assert_finds("heddle/base/fatal.hpp:2: base includes sync", "check.py", "layers")

    def test_a_dependency_that_points_up_is_found(self):
        self.module("base", "sync")
        self.module("sync")
        self.assert_finds("base depends on sync, which is in a higher layer", "check.py", "layers")

    def test_two_modules_that_stand_on_each_other_are_found(self):
        self.module("task", "exec")
        self.module("exec", "task")
        self.assert_finds("depend on each other", "check.py", "layers")

    def test_an_include_that_deps_do_not_name_is_found(self):
        self.module("base")
        self.module("sync")
        self.write("heddle/sync/mutex.cpp", "#include <heddle/base/fatal.hpp>\n")
        self.assert_finds("which its DEPS do not reach", "check.py", "layers")

    def test_a_private_header_of_another_module_is_found(self):
        self.module("sync")
        self.module("channel", "sync")
        self.write("heddle/channel/channel.cpp", "#include <heddle/sync/internal/word.hpp>\n")
        self.assert_finds("includes a private header of sync", "check.py", "layers")

    def test_a_program_that_includes_a_private_header_is_found(self):
        self.module("sync")
        self.write("storefront/main.cpp", "#include <heddle/sync/mutex.hpp>\n")
        self.assert_passes("check.py", "layers")
        self.write("examples/increment.cpp", "#include <heddle/sync/internal/word.hpp>\n")
        self.assert_finds("examples/increment.cpp:1", "check.py", "layers")

    def test_a_sleeping_test_is_found(self):
        self.write("heddle/sync/mutex.cpp", "void f() { sleep_for(1); }\n")
        self.assert_passes("check.py", "sleeps")
        self.write("heddle/sync/mutex.test.cpp", "void f() {\n  std::this_thread::sleep_for(1ms);\n}\n")
        self.assert_finds("heddle/sync/mutex.test.cpp:2", "check.py", "sleeps")

    def test_a_conditional_outside_of_sys_is_found(self):
        self.write("heddle/sys/clock.hpp", "#pragma once\n#ifdef __linux__\n#endif\n")
        self.assert_passes("check.py", "conditionals")
        self.write("heddle/park/slot.hpp", "#pragma once\n#  if defined(NDEBUG)\n#endif\n")
        self.assert_finds("heddle/park/slot.hpp:2", "check.py", "conditionals")

    def test_a_test_that_is_switched_off_is_found(self):
        self.write("heddle/sync/mutex.test.cpp", "TEST(mutex, DISABLED" + "_excludes) {}\n")
        self.assert_finds("heddle/sync/mutex.test.cpp:1", "check.py", "put_off")

    def test_a_folder_without_a_meaning_is_found(self):
        self.write("heddle/util/strings.hpp", "#pragma once\n")
        self.assert_finds("heddle/util", "check.py", "names")

    def test_a_foreign_macro_and_a_tenth_macro_are_found(self):
        self.write("heddle/sys/a.hpp", "#pragma once\n" + "".join(f"#define HEDDLE_{i}\n" for i in range(9)))
        self.assert_passes("check.py", "macros")
        self.write("heddle/sys/b.hpp", "#pragma once\n#define HEDDLE_LAST\n")
        self.assert_finds("10 macros", "check.py", "macros")
        self.write("heddle/sys/b.hpp", "#pragma once\n#define MINE\n")
        self.assert_finds("MINE does not begin with HEDDLE_", "check.py", "macros")

    def test_a_missing_guard_readme_or_an_endless_file_is_found(self):
        self.module("sync")
        self.write("heddle/sync/mutex.hpp", "#pragma once\n")
        self.assert_passes("check.py", "files")
        self.write("heddle/sync/mutex.hpp", "\n")
        self.assert_finds("#pragma once is missing", "check.py", "files")
        self.write("heddle/park/slot.cpp", "\n" * 800)
        self.assert_finds("heddle/park: README.md is missing", "check.py", "files")
        self.assert_finds("slot.cpp: 800 lines", "check.py", "files")

    def test_a_badly_formatted_file_is_found(self):
        self.write(".clang-format", (ROOT / ".clang-format").read_text())
        self.write("heddle/sync/mutex.cpp", "int f() { return 1; }\n")
        self.assert_passes("check.py", "formatting")
        self.write("heddle/sync/mutex.cpp", "int f(){return 1;}\n")
        self.assert_finds("heddle/sync/mutex.cpp:1", "check.py", "formatting")


class Quotes(Tree):
    document = "<!-- quote: examples/a.cpp#body -->\n```cpp\nint a;\n```\n"

    def test_a_block_equal_to_its_region_passes_and_a_changed_one_is_found_and_repaired(self):
        self.write("examples/a.cpp", "void f() {\n  // [body]\n  int a;\n  // [/body]\n}\n")
        self.write("README.md", self.document)
        self.assert_passes("quotes.py")
        self.write("README.md", self.document.replace("int a;", "int b;"))
        self.assert_finds("README.md:1: differs from examples/a.cpp#body", "quotes.py")
        self.assert_passes("quotes.py", "--fix")
        self.assertEqual((self.root / "README.md").read_text(), self.document)

    def test_a_block_without_a_source_is_found(self):
        self.write("docs/guide/locks.md", "```cpp\nint a;\n```\n")
        self.assert_finds("docs/guide/locks.md:1: a C++ block that is not quoted", "quotes.py")

    def test_a_missing_file_or_region_is_found(self):
        self.write("README.md", self.document)
        self.assert_finds("examples/a.cpp does not exist", "quotes.py")
        self.write("examples/a.cpp", "int a;\n")
        self.assert_finds("examples/a.cpp has no region [body]", "quotes.py")


class Contracts(Tree):
    header = "#pragma once\n/// A lock.\n///\n/// - It excludes,\n///   always. [test: mutex.excludes]\nclass mutex {\n};\n"

    def test_a_promise_with_its_test_passes(self):
        self.write("heddle/sync/mutex.hpp", self.header)
        self.write("heddle/sync/mutex.test.cpp", "TEST(mutex, excludes) {}\n")
        self.assert_passes("contracts.py")

    def test_a_promise_ends_with_its_test_wherever_the_lines_break(self):
        self.write("heddle/sync/mutex.hpp", "#pragma once\n/// - It excludes [test:\n/// mutex.excludes]\n/// Cost: none.\n"
                   "class mutex {\n};\n")
        self.write("heddle/sync/mutex.test.cpp", "TEST(mutex, excludes) {}\n")
        self.assert_passes("contracts.py")

    def test_a_promise_whose_test_is_gone_is_found(self):
        self.write("heddle/sync/mutex.hpp", self.header)
        self.write("heddle/sync/mutex.test.cpp", "TEST(mutex, excluded) {}\n")
        self.assert_finds("there is no test mutex.excludes", "contracts.py")

    def test_a_promise_without_a_test_is_found(self):
        self.write("heddle/sync/mutex.hpp", self.header.replace(" [test: mutex.excludes]", ""))
        self.assert_finds("heddle/sync/mutex.hpp:4: no test is named for: It excludes, always.", "contracts.py")

    def test_a_class_that_promises_nothing_is_found(self):
        self.write("heddle/sync/mutex.hpp", "#pragma once\nclass mutex {\n};\n")
        self.assert_finds("declares a class and promises nothing", "contracts.py")

    table = "| case | here |\n|---|---|\n| one | `mutex.excludes` |\n"

    def test_a_ported_case_with_its_test_or_a_reason_passes(self):
        self.write("tests/ported.md", self.table + "| two | not: nobody needs it |\n")
        self.write("heddle/sync/mutex.test.cpp", "TYPED_TEST(mutex, excludes) {}\n")
        self.assert_passes("contracts.py")

    def test_a_ported_case_whose_test_is_gone_is_found(self):
        self.write("tests/ported.md", self.table)
        self.assert_finds("tests/ported.md:3: there is no test mutex.excludes", "contracts.py")

    def test_a_ported_case_without_a_word_is_found(self):
        self.write("tests/ported.md", self.table.replace("`mutex.excludes`", "later"))
        self.assert_finds("tests/ported.md:3: neither a test nor `not: ` and a reason", "contracts.py")


class Bench(unittest.TestCase):
    """How ./bench judges what the programs of peers/ print."""

    @classmethod
    def setUpClass(cls):
        spec = importlib.util.spec_from_file_location("bench", ROOT / "tools" / "bench.py")
        cls.bench = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(cls.bench)

    def row(self, samples, better="higher", **entry):
        runs = {engine: [{"value": value, "unit": "u", "better": better, "least_share": share} for value, share in given]
                for engine, given in samples.items()}
        return self.bench.evaluate("sync", {"workload": "w", **entry}, runs)

    def test_above_1_is_ahead_whether_more_or_less_is_better(self):
        samples = {"heddle": [(20, 1)], "std": [(10, 1)]}
        self.assertEqual(self.row(samples)["ratio"], 2.0)
        self.assertEqual(self.row(samples, better="lower")["ratio"], 0.5)

    def test_the_median_of_the_pairs_counts_not_the_ratio_of_the_medians(self):
        row = self.row({"heddle": [(1, 1), (10, 1), (100, 1)], "std": [(1, 1), (20, 1), (50, 1)]})
        self.assertEqual(row["ratio"], 1.0)

    def test_who_starves_somebody_does_not_count(self):
        samples = {"heddle": [(10, 1)] * 3, "std": [(8, 1)] * 3, "hog": [(40, 0.1)] * 3}
        target = {"against": ["std", "hog"], "at_least": 1.0}
        row = self.row(samples, least_share=0.5, targets=[target])
        self.assertEqual((row["best_peer"], row["ratio"], row["starved"]), ("std", 1.25, ["hog"]))
        self.assertTrue(row["targets"][0]["reached"])
        samples["heddle"] = [(100, 0.4)] * 3
        self.assertFalse(self.row(samples, least_share=0.5, targets=[target])["targets"][0]["reached"])

    def test_each_target_has_its_own_rivals(self):
        samples = {"heddle": [(10, 1)], "cas": [(11, 1)], "std": [(5, 1)], "other": [(99, 1)]}
        row = self.row(samples, targets=[{"against": ["cas"], "at_least": 0.9}, {"against": ["std"], "at_least": 2.5}])
        self.assertEqual([(t["ratio"], t["reached"]) for t in row["targets"]], [(0.909, True), (2.0, False)])
        self.assertEqual((row["best_peer"], row["ratio"]), ("cas", 0.909))

    def test_a_row_without_peers_has_a_limit(self):
        self.assertTrue(self.row({"heddle": [(99, 1)]}, at_most={"value": 100})["targets"][0]["reached"])
        self.assertFalse(self.row({"heddle": [(101, 1)]}, at_most={"value": 100})["targets"][0]["reached"])

    def test_the_interval_needs_enough_runs(self):
        self.assertIsNone(self.bench.interval([1, 2, 3, 4, 5]))
        self.assertEqual(self.bench.interval(list(range(11, 0, -1))), (2, 10))

    def test_every_engine_of_a_suite_has_its_source(self):
        for entries in json.loads((ROOT / "peers" / "suites.json").read_text()).values():
            for entry in entries:
                there = {source.stem for source in (ROOT / "peers" / entry["folder"]).iterdir()}
                wanted = set(self.bench.engines_of(entry))
                for target in entry.get("targets", []):
                    self.assertLessEqual(set(target["against"]), wanted, entry["workload"])
                self.assertLessEqual(wanted, there, entry["workload"])


class CompileFail(Tree):
    compiler = "clang++-19 -std=c++23 -Wthread-safety -Werror"

    def refuse(self, text, regex="cannot initialize"):
        self.write("case.cpp", text)
        return subprocess.run([str(ROOT / "tests" / "compile_fail.sh"), self.compiler, str(self.root / "case.cpp"), regex],
                              capture_output=True, check=False).returncode

    def test_only_a_misuse_that_is_refused_for_the_named_reason_passes(self):
        bad = 'int a = "text";  // misuse\nint b = 1;\n'
        self.assertEqual(self.refuse(bad), 0)
        self.assertNotEqual(self.refuse(bad, "no matching function"), 0)
        self.assertNotEqual(self.refuse("int a = 1;  // misuse\n"), 0)
        self.assertNotEqual(self.refuse('int a = "text";\n'), 0)
        self.assertNotEqual(self.refuse('int a = "text";  // misuse\nint b = "text";\n'), 0)


if __name__ == "__main__":
    unittest.main()
