#!/usr/bin/env python3
"""How the agent takes 10,000 alerts at once in 50 groups for 10 channels of which one is dead.

    benches/alert_storm.py [--agent BINARY] [--alerts 10000] [--groups 50] [--seconds 60]

Starts an application that shows the faults, nine webhooks that answer and one that never does, and the agent. Prints from
when it asked for the faults until each channel has heard of all of them, the agent's memory and cpu over the time, and what waits.
Ends only what it started.
"""
import argparse
import http.server
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request

RULES = """groups:
- name: storm
  rules:
  - alert: Fault
    expr: fault == 1
    annotations: {summary: '{{ $labels.n }} is broken', description: 'It was well before, and it is broken now: look at {{ $labels.n }} of {{ $labels.team }}.'}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--agent", type=pathlib.Path, help="the agent's binary; default: the release build's")
    parser.add_argument("--alerts", type=int, default=10_000)
    parser.add_argument("--groups", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=60, help="how long to look on")
    arguments = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parent.parent
    binary = arguments.agent or next(root.glob("target/*/release/sidewatch"))
    shown = threading.Event()
    page = "".join(f'fault{{n="{n}",team="{n % arguments.groups}"}} 1\n' for n in range(arguments.alerts))
    asked = threading.Event()

    def show(_):
        if not shown.is_set():
            return "well 1\n"
        asked.set()
        return page

    app = serve(show)
    hooks = [Hook(arguments.alerts) for _ in range(9)]
    dead = socket.create_server(("127.0.0.1", 0))
    urls = [hook.url for hook in hooks] + [f"http://127.0.0.1:{dead.getsockname()[1]}/"]
    with tempfile.TemporaryDirectory() as folder:
        folder, port = pathlib.Path(folder), free_port()
        (folder / "rules.yml").write_text(RULES)
        (folder / "sidewatch.yml").write_text(json.dumps({
            "server": {"listen": f"127.0.0.1:{port}"},
            "storage": {"path": str(folder / "data"), "retention": "1h"},
            "log": {"level": "warn"},
            "global": {"scrape_interval": "10s", "scrape_timeout": "10s", "evaluation_interval": "1s"},
            "targets": [{"name": "app", "kind": "prometheus", "url": app}],
            "rule_files": ["rules.yml"],
            "alerting": {
                "route": {"receiver": "all", "group_by": ["team"], "group_wait": "0s", "group_interval": "5m"},
                "receivers": [{"name": "all", "webhook_configs": [{"url": url} for url in urls]}],
            },
        }))
        with open(folder / "log", "w") as log:
            agent = subprocess.Popen([binary, "run", "--config", folder / "sidewatch.yml"], stdout=log, stderr=log)
        try:
            time.sleep(5)
            before = resident(agent.pid)
            shown.set()
            asked.wait()
            begin = time.monotonic()
            peak = 0
            while time.monotonic() - begin < arguments.seconds:
                peak = max(peak, resident(agent.pid))
                time.sleep(0.1)
            print((folder / "log").read_text()[-2000:], end="")
            report(begin, hooks, before, peak, agent, port)
        finally:
            agent.terminate()
            agent.wait()


def report(begin, hooks, before, peak, agent, port):
    times = sorted(hook.complete - begin for hook in hooks if hook.complete)
    print(f"channels that heard of all: {len(times)} of {len(hooks)}", end="")
    print(f", the first after {times[0]:.2f} s, the last after {times[-1]:.2f} s" if times else "")
    print(f"memory MiB: {before / 2**20:.1f} before, {peak / 2**20:.1f} at most, {resident(agent.pid) / 2**20:.1f} at the end")
    ticks = sum(map(int, pathlib.Path(f"/proc/{agent.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
    print(f"cpu: {ticks / os.sysconf('SC_CLK_TCK'):.2f} s")
    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    names = ("sidewatch_notification_queue", "sidewatch_outbox", "sidewatch_notifications_dropped", "sidewatch_notification_latency_seconds_bucket")
    print("\n".join(line for line in page.splitlines() if line.startswith(names)))


class Hook:
    """A webhook that answers, and notes when it had heard of all alerts."""

    def __init__(self, alerts):
        self.heard, self.alerts, self.complete, self.lock = set(), alerts, None, threading.Lock()
        self.url = serve(self.take)

    def take(self, body):
        names = [alert["labels"]["n"] for alert in json.loads(body)["alerts"] if alert["status"] == "firing" and "n" in alert["labels"]]
        with self.lock:
            self.heard.update(names)
            if len(self.heard) == self.alerts and not self.complete:
                self.complete = time.monotonic()
        return "ok"


def serve(answer):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            text = answer(self.rfile.read(int(self.headers.get("content-length", 0)))).encode()
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def resident(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
