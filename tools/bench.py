#!/usr/bin/env python3
"""Runs one suite of peers/ and prints heddle beside its peers.

peers/suites.json names the workloads of each suite. The engines of a workload are the programs in peers/<folder>/, one
source file each; every program prints one line of JSON (see peers/harness.hpp). The engines run in turn, a b c a b c,
so that a drift of the machine hits all alike, and the median of each engine's runs counts.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILT = ROOT / "build" / "bench" / "peers"


def measure(program, arguments, seconds):
    command = [str(program), *arguments, "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + 10 * seconds)
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(command)} ended with {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


def ratio(heddle, peer, better):
    """How many times better heddle is: above 1 it wins, whether more or less of the unit is better."""
    return heddle / peer if better == "higher" else peer / heddle


def run_workload(suite, entry, rounds, seconds):
    engines = sorted(source.stem for source in (ROOT / "peers" / entry["folder"]).glob("*.cpp"))
    samples = {engine: [] for engine in engines}
    for done in range(rounds):
        for engine in engines:
            samples[engine].append(measure(BUILT / entry["folder"] / engine, entry["arguments"], seconds))
        print(f"    {entry['workload']}: round {done + 1} of {rounds}", file=sys.stderr, flush=True)

    unit, better = samples["heddle"][0]["unit"], samples["heddle"][0]["better"]
    values = {engine: statistics.median(s["value"] for s in runs) for engine, runs in samples.items()}
    peers = {engine: value for engine, value in values.items() if engine != "heddle"}
    best_peer = (max if better == "higher" else min)(peers, key=peers.get)
    row = {
        "suite": suite,
        "workload": entry["workload"],
        "unit": unit,
        "heddle": values["heddle"],
        "peers": peers,
        "best_peer": best_peer,
        "ratio": round(ratio(values["heddle"], peers[best_peer], better), 3),
    }
    print(f"\n{entry['workload']} in {unit}, {better} is better, median of {rounds} runs of {seconds:g} s")
    for engine in sorted(engines, key=values.get, reverse=better == "higher"):
        runs = [s["value"] for s in samples[engine]]
        beside = "" if engine == "heddle" else f"   heddle is {ratio(values['heddle'], values[engine], better):.2f} x as good"
        extra = "".join(f"   {name} {statistics.median(s[name] for s in samples[engine]):.3g}"
                        for name in samples[engine][0] if name not in ("value", "unit", "better"))
        print(f"  {engine:12} {values[engine]:12.2f}   ({min(runs):.2f} to {max(runs):.2f}){extra}{beside}")
    return row


def main():
    suites = json.loads((ROOT / "peers" / "suites.json").read_text())
    parser = argparse.ArgumentParser(prog="./bench")
    parser.add_argument("suite", metavar="SUITE", help=", ".join(suites))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    parser.add_argument("--json", metavar="FILE", help="also write the rows to FILE")
    # For ./bench itself: only check the arguments; the folder that FILE is relative to.
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--relative-to", default=".", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.suite not in suites:
        parser.exit(2, f"./bench: there is no suite `{options.suite}`; there are: {', '.join(suites)}\n")
    if options.check:
        return
    rounds, seconds = (5, 0.3) if options.quick else (9, 1.0)
    rows = [run_workload(options.suite, entry, rounds, seconds) for entry in suites[options.suite]]
    if options.json:
        path = pathlib.Path(options.relative_to) / options.json
        path.write_text(json.dumps(rows, indent=2) + "\n")
        print(f"\nwritten to {options.json}")


if __name__ == "__main__":
    main()
