#!/usr/bin/env python3
"""Runs one suite of peers/ and prints heddle beside its peers.

peers/suites.json names the workloads of each suite. The engines of a workload are the programs of peers/<folder>/, one
source file each; every program prints one line of JSON (see peers/harness.hpp). The engines run in turn, a b c a b c,
so that a drift of the machine hits all alike: each round gives one pair of heddle and a peer, and the median of the
pairs' ratios counts. A ratio above 1 means that heddle is so many times better, whether more or less of the unit is
better.

An entry of suites.json:
  workload, folder   its name, and where its programs are
  arguments          what the programs get beside --seconds
  heddle             the program that is heddle's side, if it is not `heddle`
  peers              the others that run; without it, all in the folder that are not heddle's
  targets            [{"against": [peer, ...], "at_least": ratio}, ...]: heddle must be so many times better than the
                     best of them. The row's best peer is the best of all that targets name, or of all peers.
  least_share        a run counts only if the least served thread got at least this part of its share
  at_most            limits for what heddle's program prints: {"value": 100}
  cpus               how many processors the programs may use
  rounds, seconds    instead of the usual ones: {"quick": 5, "full": 11}
"""
import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROUNDS = {"quick": 5, "full": 11}
SECONDS = {"quick": 0.2, "full": 0.6}


def measure(program, entry, seconds):
    command = [str(program), *entry.get("arguments", []), "--seconds", f"{seconds:g}"]
    allowed = sorted(os.sched_getaffinity(0))[:entry.get("cpus")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120 + 10 * seconds, check=False,
                          preexec_fn=lambda: os.sched_setaffinity(0, allowed))
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(command)} ended with {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


def ratio(heddle, peer, better):
    """How many times better heddle is: above 1 it wins, whether more or less of the unit is better."""
    mine, theirs = (heddle, peer) if better == "higher" else (peer, heddle)
    if theirs == 0:
        return 1.0 if mine == 0 else math.inf
    return mine / theirs


def interval(values):
    """Where the median lies with a confidence of about 95 %, by order statistics; None when they are too few."""
    n, values = len(values), sorted(values)
    below, tail = 0.0, 0
    for k in range(n):
        below += math.comb(n, k) / 2.0**n
        if below > 0.025:
            break
        tail = k + 1
    return None if tail == 0 else (values[tail - 1], values[n - tail])


def counts(run, entry):
    return run.get("least_share", 1) >= entry.get("least_share", 0)


def contenders(names, starved):
    """Those that may be called the best: who starves somebody only when all of them do."""
    return [name for name in names if not starved[name]] or list(names)


def evaluate(suite, entry, samples):
    """The row of one workload, from the runs of each engine: samples[engine][round]."""
    own = entry.get("heddle", "heddle")
    unit, better = samples[own][0]["unit"], samples[own][0]["better"]
    values = {engine: statistics.median(run["value"] for run in runs) for engine, runs in samples.items()}
    starved = {engine: 2 * sum(counts(run, entry) for run in runs) < len(runs) for engine, runs in samples.items()}
    pairs = {}
    for engine in samples:
        both = list(zip(samples[own], samples[engine]))
        fair = [pair for pair in both if all(counts(run, entry) for run in pair)] or both
        pairs[engine] = [ratio(mine["value"], theirs["value"], better) for mine, theirs in fair]
    ratios = {engine: statistics.median(pairs[engine]) for engine in samples if engine != own}
    targets = []
    for target in entry.get("targets", []):
        rival = min(contenders(target["against"], starved), key=ratios.get)
        reached = not starved[own] and round(ratios[rival], 3) >= target["at_least"]
        targets.append({**target, "best": rival, "ratio": round(ratios[rival], 3), "reached": reached})
    for name, limit in entry.get("at_most", {}).items():
        found = statistics.median(run[name] for run in samples[own])
        targets.append({"at_most": limit, "of": name, "found": found, "reached": found <= limit})
    named = {peer for target in targets for peer in target.get("against", [])} or set(ratios)
    best_peer = min(contenders(sorted(named), starved), key=ratios.get) if named else None
    row = {
        "suite": suite,
        "workload": entry["workload"],
        "unit": unit,
        "heddle": values[own],
        "peers": {engine: value for engine, value in values.items() if engine != own},
        "best_peer": best_peer,
        "ratio": round(ratios[best_peer], 3) if best_peer else None,
        "better": better,
        "ratios": {engine: round(value, 3) for engine, value in ratios.items()},
        "targets": targets,
        "starved": [engine for engine in samples if starved[engine]],
    }
    within = interval(pairs[best_peer]) if best_peer else None
    row["interval"] = [round(end, 3) for end in within] if within else None
    return row


def print_row(row, entry, samples, seconds):
    own, better = entry.get("heddle", "heddle"), row["better"]
    rounds = len(samples[own])
    print(f"\n{row['workload']} in {row['unit']}, {better} is better, median of {rounds} runs of {seconds:g} s")
    values = {own: row["heddle"], **row["peers"]}
    for engine in sorted(values, key=values.get, reverse=better == "higher"):
        runs = [run["value"] for run in samples[engine]]
        beside = "" if engine == own else f"   heddle is {row['ratios'][engine]:.2f} x as good"
        extra = "".join(f"   {name} {statistics.median(run[name] for run in samples[engine]):.3g}"
                        for name in samples[engine][0] if name not in ("value", "unit", "better"))
        unfair = sum(not counts(run, entry) for run in samples[engine])
        if unfair:
            extra += f"   {unfair} of {rounds} runs starve somebody"
        if engine in row["starved"]:
            extra += " and so it does not count"
        print(f"  {engine:20} {values[engine]:12.3f}   ({min(runs):.3f} to {max(runs):.3f}){extra}{beside}")
    if row["interval"]:
        low, high = row["interval"]
        print(f"  against {row['best_peer']}: {row['ratio']:.3f}, with 95 % confidence {low:.3f} to {high:.3f}")
    for target in row["targets"]:
        mark = "reached" if target["reached"] else "MISSED "
        if "at_most" in target:
            print(f"  {mark}  {target['of']} at most {target['at_most']:g}: {target['found']:.2f}")
            continue
        print(f"  {mark}  at least {target['at_least']:g} x "
              f"{' or '.join(target['against'])}: {target['ratio']:.3f}")


def engines_of(entry):
    """The programs to run, heddle's first."""
    own = entry.get("heddle", "heddle")
    sources = (ROOT / "peers" / entry["folder"]).iterdir()
    found = {source.stem for source in sources if source.suffix in (".cpp", ".rs", ".go")}
    return [own, *entry.get("peers", sorted(engine for engine in found if not engine.startswith("heddle")))]


def run_workload(suite, entry, mode, built):
    rounds, seconds = entry.get("rounds", ROUNDS)[mode], entry.get("seconds", SECONDS)[mode]
    engines = engines_of(entry)
    samples = {engine: [] for engine in engines}
    for done in range(rounds):
        for engine in engines if done % 2 == 0 else engines[::-1]:
            samples[engine].append(measure(built / entry["folder"] / engine, entry, seconds))
        if sys.stderr.isatty():
            print(f"    {entry['workload']}: round {done + 1} of {rounds}", end="\r", file=sys.stderr, flush=True)
    row = evaluate(suite, entry, samples)
    print_row(row, entry, samples, seconds)
    sys.stdout.flush()
    return row


def main():
    suites = json.loads((ROOT / "peers" / "suites.json").read_text())
    parser = argparse.ArgumentParser(prog="./bench")
    parser.add_argument("suite", metavar="SUITE", help=", ".join(suites))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    parser.add_argument("--json", metavar="FILE", help="also write the rows to FILE")
    parser.add_argument("--only", metavar="TEXT", default="", help="only workloads whose name contains TEXT")
    # For ./bench itself: only check the arguments; the folder that FILE is relative to; where the programs are.
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--relative-to", default=".", help=argparse.SUPPRESS)
    parser.add_argument("--built", type=pathlib.Path, default=ROOT / "build" / "bench" / "peers", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.suite not in suites:
        parser.exit(2, f"./bench: there is no suite `{options.suite}`; there are: {', '.join(suites)}\n")
    chosen = [entry for entry in suites[options.suite] if options.only in entry["workload"]]
    if not chosen:
        parser.exit(2, f"./bench: no workload of `{options.suite}` contains `{options.only}`\n")
    if options.check:
        return
    mode = "quick" if options.quick else "full"
    rows = [run_workload(options.suite, entry, mode, options.built) for entry in chosen]
    targets = [(row["workload"], target["reached"]) for row in rows for target in row["targets"]]
    missed = sorted({workload for workload, reached in targets if not reached})
    print(f"\n{sum(reached for _, reached in targets)} of {len(targets)} targets reached; "
          f"missed: {', '.join(missed) or 'none'}")
    if options.json:
        path = pathlib.Path(options.relative_to) / options.json
        path.write_text(json.dumps(rows, indent=2) + "\n")
        print(f"written to {options.json}")


if __name__ == "__main__":
    main()
