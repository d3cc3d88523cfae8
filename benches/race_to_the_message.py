#!/usr/bin/env python3
"""How long until somebody is told of a broken Postgres: the agent beside postgres_exporter, Prometheus and Alertmanager.

    tests/provide
    benches/race_to_the_message.py [--rounds 3] [--agent BINARY]

Each round starts a Postgres and three that watch it: the exporter with a Prometheus and an Alertmanager as their packages configure them
(15 s and 15 s, a group waits 30 s), the agent with nothing configured but the target, the rule and the webhook (10 s, 5 s, a group waits 5 s), and the
agent at 1 s without waiting. All have the same rule. At a random moment the server is killed or frozen; printed is the time until the
webhook of each was told. The third agent also sees an application of which another part breaks each second, each a group of its own:
its histogram `sidewatch_notification_latency_seconds` says how long from the deciding evaluation to the delivered webhook.
Ends only what it started.
"""
import argparse
import contextlib
import json
import os
import pathlib
import random
import re
import signal
import statistics
import sys
import tempfile
import threading
import time
import urllib.request

import beside_exporters as bench
from alert_storm import serve

# An exporter that hangs with its server is seen by `up` alone.
RULES = """groups:
- name: race
  rules:
  - alert: PostgresDown
    expr: pg_up == 0 or up{job=~"postgres.*"} == 0
"""
SECOND = """groups:
- name: race
  rules:
  - {alert: PostgresDown, expr: pg_up == 0}
  - {alert: PartBroken, expr: part_broken == 1}
"""
LANES = ("exporter, Prometheus, Alertmanager", "sidewatch", "sidewatch at 1 s, no wait")
SETTLED = 45  # Seconds until all three have seen a healthy server a few times.
LONGEST = 150


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each fault")
    parser.add_argument("--agent", type=pathlib.Path, help="the agent's binary; default: the release build's")
    parser.add_argument("--containers", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    binary = arguments.agent or next(pathlib.Path(__file__).resolve().parent.parent.glob("target/*/release/sidewatch"))
    times = {(fault, lane): [] for fault in ("killed", "frozen") for lane in LANES}
    buckets = {}
    for number in range(arguments.rounds):
        for fault in ("killed", "frozen"):
            print(f"round {number + 1}, {fault}", file=sys.stderr)
            told, page = play(fault, binary.resolve())
            for lane, seconds in told.items():
                times[fault, lane].append(seconds)
            add_latencies(buckets, page)
    print_table(times, buckets)


def play(fault, binary):
    """One fault: after how many seconds each lane told of it, and the third agent's metrics."""
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        hooks = {lane: Hook() for lane in LANES}
        postgres = bench.free_port()
        bench.start_postgres(stack, folder, postgres)
        start_field(stack, folder, postgres, hooks[LANES[0]].url)
        start_agent(stack, folder, "plain", binary, postgres, hooks[LANES[1]].url, "", RULES, "")
        parts = serve(broken_parts(time.monotonic()))
        port = start_agent(
            stack, folder, "quick", binary, postgres, hooks[LANES[2]].url, f"\n  - {{name: parts, kind: prometheus, url: '{parts}'}}", SECOND,
            "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}", "group_by: ['...'], group_wait: 0s, ")
        time.sleep(SETTLED + random.random() * 15)
        early = [lane for lane, hook in hooks.items() if hook.told.is_set()]
        if early:
            sys.exit(f"told before anything broke: {early}")
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
        began = time.monotonic()
        for pid in processes(folder):
            os.kill(pid, signal.SIGKILL if fault == "killed" else signal.SIGSTOP)
        told = {}
        for lane, hook in hooks.items():
            if not hook.told.wait(LONGEST - (time.monotonic() - began)):
                sys.exit(f"{lane} did not tell within {LONGEST} s")
            told[lane] = hook.at - began
        for pid in processes(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return told, page


def start_field(stack, folder, postgres, hook):
    peers, alertmanager, port = bench.peers_folder(), bench.free_port(), bench.free_port()
    peers_ports = {"postgres": postgres}
    _, exporter = bench.start_exporter(stack, folder, peers_ports, "postgres", peers / "postgres_exporter")
    home = folder / "field"
    home.mkdir()
    (home / "rules.yml").write_text(RULES)
    (home / "prometheus.yml").write_text(json.dumps({
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
        "rule_files": ["rules.yml"],
        "scrape_configs": [{"job_name": "postgres", "static_configs": [{"targets": [re.search("//(.*)/", exporter).group(1)]}]}],
    }))
    (home / "alertmanager.yml").write_text(json.dumps({
        "route": {"receiver": "hook"}, "receivers": [{"name": "hook", "webhook_configs": [{"url": hook}]}]}))
    bench.start(stack, folder, "alertmanager", [
        str(peers / "alertmanager"), f"--config.file={home}/alertmanager.yml", f"--storage.path={home}/alertmanager",
        f"--web.listen-address=127.0.0.1:{alertmanager}", "--cluster.listen-address="])
    bench.start(stack, folder, "prometheus", [
        str(peers / "prometheus"), f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/prometheus",
        f"--web.listen-address=127.0.0.1:{port}"])
    bench.wait_for_port(alertmanager)
    bench.wait_for_port(port)


def start_agent(stack, folder, name, binary, postgres, hook, target, rules, intervals, route=""):
    home, port = folder / name, bench.free_port()
    home.mkdir()
    (home / "rules.yml").write_text(rules)
    (home / "sidewatch.yml").write_text(f"""
{intervals}
server: {{listen: "127.0.0.1:{port}"}}
storage: {{path: "{home}/data"}}
targets:
  - {{name: orders, url: "postgres://sidewatch@127.0.0.1:{postgres}/postgres"}}{target}
rule_files: [rules.yml]
alerting:
  route: {{{route}receiver: hook}}
  receivers: [{{name: hook, webhook_configs: [{{url: "{hook}"}}]}}]
""")
    bench.start(stack, folder, f"agent-{name}", [str(binary), "run", "--config", str(home / "sidewatch.yml")])
    bench.wait_for_port(port)
    return port


class Hook:
    """A webhook that notes when it was first told that Postgres is down."""

    def __init__(self):
        self.told, self.at = threading.Event(), None
        self.url = serve(self.take)

    def take(self, body):
        at = time.monotonic()
        alerts = json.loads(body)["alerts"]
        if any(alert["status"] == "firing" and alert["labels"]["alertname"] == "PostgresDown" for alert in alerts) and not self.told.is_set():
            self.at = at
            self.told.set()
        return "ok"


def broken_parts(began):
    """An application's page: one more part is broken each second."""
    def page(_):
        broken = int(time.monotonic() - began)
        return "".join(f'part_broken{{part="{part}"}} {int(part <= broken)}\n' for part in range(120))
    return page


def processes(folder):
    """All of the server's processes, which work in its data folder."""
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and os.readlink(entry / "cwd") == str(folder / "postgres" / "data"):
                yield int(entry.name)


def add_latencies(buckets, page):
    for bound, count in re.findall(r'^sidewatch_notification_latency_seconds_bucket\{.*?le="([^"]+)".*?\} (\d+)', page, re.M):
        buckets[float(bound)] = buckets.get(float(bound), 0) + int(count)


def print_table(times, buckets):
    print("| told after, s | " + " | ".join(LANES) + " |\n|---|" + "---:|" * len(LANES))
    for fault in ("killed", "frozen"):
        cells = []
        for lane in LANES:
            seen = times[fault, lane]
            cells.append(f"{statistics.median(seen):.1f} ({min(seen):.1f} to {max(seen):.1f})")
        print(f"| {fault} | " + " | ".join(cells) + " |")
    ordered = sorted(buckets.items())
    all_of_them = ordered[-1][1] if ordered else 0
    print(f"\nfrom the deciding evaluation to the delivered webhook, {all_of_them} notifications:")
    for bound, count in ordered:
        print(f"  within {bound:g} s: {count / max(1, all_of_them):.4f}")


if __name__ == "__main__":
    main()
