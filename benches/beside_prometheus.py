#!/usr/bin/env python3
"""Ingest, query latency and memory of the agent beside Prometheus 3.5.3, in one run and on the same data.

    tests/provide
    cargo build --release
    benches/beside_prometheus.py [--agent BINARY] [--runs 20] [--more] [--scale 1.0]

10,000 series (5,000 counters `x`, 3,600 buckets `h_bucket`, 1,400 gauges `g`) of one hour at 15 s are made from a seed and written into
each server by remote write, one request after the other over one connection. Then all are asked the same queries in turn, at an instant
and over the hour in steps of 15 s; each run ends 15 s before the one before, so that no answer can be remembered. The table has
the medians, and the agent's share of Prometheus' time. Before anything is timed, the agent's answers are compared with Prometheus'.
`--more` adds the system's own Prometheus and VictoriaMetrics where they are installed. Ends only what it started.
"""
import argparse
import contextlib
import glob
import http.client
import json
import math
import os
import pathlib
import random
import shutil
import statistics
import struct
import sys
import tempfile
import time
import urllib.parse

import beside_exporters as bench

INTERVAL = 15
STEPS = 240
# A request holds so many series with so many samples each: what a sender that was cut off for some minutes sends.
SERIES_PER_REQUEST, SAMPLES_PER_REQUEST = 1000, 24

QUERIES = {
    "one series": 'x{job="job3", instance="i7", code="200"}',
    "`sum by (job)(rate(x[5m]))`": "sum by (job)(rate(x[5m]))",
    "`histogram_quantile(0.95, sum by (le)(rate(h_bucket[5m])))`": "histogram_quantile(0.95, sum by (le)(rate(h_bucket[5m])))",
    "`topk(10, x)`": "topk(10, x)",
    "`max by (job)(max_over_time(g[30m]))`": "max by (job)(max_over_time(g[30m]))",
    "a ratio with `on (job)`": 'sum by (job)(rate(x{code="500"}[5m])) / on (job) sum by (job)(rate(x[5m]))',
    "all 5,000 `x`": "x",
}


def main():
    arguments = read_arguments()
    end = int(time.time()) // INTERVAL * INTERVAL
    print("making the data", file=sys.stderr)
    series = list(make_series(random.Random(7), arguments.scale))
    bodies = list(make_bodies(series, end))
    samples = sum(len(values) for _, values in series)
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="beside-prometheus-")))
        servers = start_all(stack, folder, arguments)
        time.sleep(3)
        for server in servers:
            server.resident["empty"] = resident(server.process.pid)
        for server in servers:
            server.ingest(bodies, samples)
        time.sleep(10)
        for server in servers:
            server.resident["loaded"] = resident(server.process.pid)
        agreed = {name: agree(servers, query, end) for name, query in QUERIES.items()}
        timed = measure(servers, end, arguments.runs)
        time.sleep(3)
        for server in servers:
            server.resident["after the queries"] = resident(server.process.pid)
        print_tables(servers, timed, agreed, len(series), samples, arguments.runs)


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", help="the agent's binary; else the newest release build")
    parser.add_argument("--prometheus", default=str(bench.peers_folder() / "prometheus"))
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--more", action="store_true", help="the installed Prometheus and VictoriaMetrics too")
    parser.add_argument("--scale", type=float, default=1.0, help="a part of the series, for trying the script")
    return parser.parse_args()


# --- the data


def make_series(chance, scale):
    """Labels, sorted and with the name, and a value for each step."""
    jobs = [f"job{n}" for n in range(10)]
    for job in jobs:
        for instance in range(round(100 * scale) or 1):
            for code in ("200", "201", "404", "500", "503"):
                yield labels("x", code=code, instance=f"i{instance}", job=job), counter(chance, 200 if code == "200" else 9)
    bounds = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
    for job in jobs:
        for instance in range(round(30 * scale) or 1):
            below = [0.0] * (STEPS + 1)
            for bound in bounds:
                below = [sum(pair) for pair in zip(below, counter(chance, 6))]
                yield labels("h_bucket", instance=f"i{instance}", job=job, le=bound), below
    for job in jobs:
        for instance in range(round(140 * scale) or 1):
            yield labels("g", instance=f"i{instance}", job=job), [50 + chance.gauss(0, 12) for _ in range(STEPS + 1)]


def labels(name, **others):
    return sorted({"__name__": name, **others}.items())


def counter(chance, most):
    value, values = float(chance.randrange(100_000)), []
    for _ in range(STEPS + 1):
        value += chance.randrange(most + 1)
        values.append(value)
    return values


def make_bodies(series, end):
    """Remote-write requests in order of time."""
    times = [(end - (STEPS - step) * INTERVAL) * 1000 for step in range(STEPS + 1)]
    coded_times = [b"\x10" + varint(at) for at in times]
    coded_labels = [b"".join(field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in pairs)
                    for pairs, _ in series]
    for start in range(0, STEPS + 1, SAMPLES_PER_REQUEST):
        steps = range(start, min(start + SAMPLES_PER_REQUEST, STEPS + 1))
        for first in range(0, len(series), SERIES_PER_REQUEST):
            request = bytearray()
            for coded, (_, values) in list(zip(coded_labels, series))[first:first + SERIES_PER_REQUEST]:
                samples = b"".join(field(2, b"\x09" + struct.pack("<d", values[step]) + coded_times[step]) for step in steps)
                request += field(1, coded + samples)
            yield snappy(bytes(request))


def field(number, content):
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def snappy(plain):
    """The block format in literals alone: valid, and the same work for every reader."""
    out = bytearray(varint(len(plain)))
    for start in range(0, len(plain), 1 << 16):
        literal = plain[start:start + (1 << 16)]
        out += bytes([61 << 2]) + struct.pack("<H", len(literal) - 1) + literal
    return bytes(out)


# --- the servers


class Server:
    def __init__(self, name, process, port, path="", extra=()):
        self.name, self.process, self.port, self.path, self.extra = name, process, port, path, extra
        self.resident, self.samples_per_second = {}, 0.0
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def ingest(self, bodies, samples):
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
                   "X-Prometheus-Remote-Write-Version": "0.1.0", "User-Agent": "beside_prometheus"}
        began = time.perf_counter()
        for body in bodies:
            self.connection.request("POST", f"{self.path}/api/v1/write", body, headers)
            answer = self.connection.getresponse()
            text = answer.read()
            if answer.status >= 300:
                sys.exit(f"{self.name} does not take the samples: {answer.status} {text.decode(errors='replace')}")
        self.samples_per_second = samples / (time.perf_counter() - began)
        if "victoria" in self.name:
            self.get("/internal/force_flush")  # What was just written is not seen otherwise.

    def get(self, path):
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            sys.exit(f"{self.name}: {answer.status} to {path}: {body[:300].decode(errors='replace')}")
        return body

    def ask(self, query, end, ranged):
        """The body, and the seconds until it was there."""
        parameters = [("query", query), *self.extra]
        if ranged:
            parameters += [("start", end - STEPS * INTERVAL), ("end", end), ("step", INTERVAL)]
        else:
            parameters.append(("time", end))
        path = f"{self.path}/api/v1/query{'_range' if ranged else ''}?{urllib.parse.urlencode(parameters)}"
        began = time.perf_counter()
        body = self.get(path)
        return body, time.perf_counter() - began


def start_all(stack, folder, arguments):
    servers = [start_agent(stack, folder, arguments), start_prometheus(stack, folder, arguments.prometheus)]
    if arguments.more:
        if installed := shutil.which("prometheus"):
            servers.append(start_prometheus(stack, folder, installed))
        victoria = bench.peers_folder() / "victoria-metrics"
        if victoria := str(victoria) if victoria.exists() else shutil.which("victoria-metrics"):
            port = bench.free_port()
            process = bench.start(stack, folder, "victoria", [
                victoria, f"-storageDataPath={folder}/victoria-data", f"-httpListenAddr=127.0.0.1:{port}", "-search.latencyOffset=0s"])
            wait_for(port, "/health")
            servers.append(Server(f"victoria-metrics {bench.version(victoria)}", process, port, extra=[("nocache", "1")]))
    return servers


def start_agent(stack, folder, arguments):
    found = glob.glob("target/*/release/sidewatch") + glob.glob("target/release/sidewatch")
    binary = arguments.agent or max(found, key=os.path.getmtime, default=None)
    if not binary:
        sys.exit("no release build of the agent: cargo build --release")
    port = bench.free_port()
    config = folder / "sidewatch.yml"
    config.write_text(f'server: {{listen: "127.0.0.1:{port}"}}\nstorage: {{path: "{folder}/sidewatch-data"}}\n')
    command = [str(pathlib.Path(binary).resolve()), "run", "--config", str(config)]
    process = bench.start(stack, folder, "sidewatch", command)
    wait_for(port, "/readyz")
    return Server("sidewatch", process, port)


def start_prometheus(stack, folder, program):
    number, port = bench.version(program), bench.free_port()
    config = folder / "prometheus.yml"
    config.write_text("global: {scrape_interval: 15s}\n")
    process = bench.start(stack, folder, f"prometheus-{port}", [
        program, f"--config.file={config}", f"--storage.tsdb.path={folder}/prometheus-{port}-data",
        f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver"])
    wait_for(port, "/-/ready")
    return Server(f"Prometheus {number}", process, port)


# --- the measuring


def agree(servers, query, end):
    """For each server but the second, whether its answers are Prometheus' up to a relative 1e-9."""
    def answers(server):
        return [read(server.ask(query, end, ranged)[0]) for ranged in (False, True)]
    wanted = answers(servers[1])
    return {server.name: answers(server) == wanted for server in servers if server is not servers[1]}


class Near(float):
    def __eq__(self, other):
        return math.isclose(self, other, rel_tol=1e-9) or math.isnan(self) and math.isnan(other)

    __hash__ = None


def read(body):
    result = json.loads(body)["data"]["result"]
    return {json.dumps(one["metric"], sort_keys=True): [(float(at), Near(value)) for at, value in one.get("values", [one.get("value")])]
            for one in result}


def measure(servers, end, runs):
    """Query and kind to server to the seconds of each run."""
    timed = {}
    for run in range(runs + 1):
        print(f"run {run} of {runs}", file=sys.stderr)
        for name, query in QUERIES.items():
            for ranged in (False, True):
                for turn in range(len(servers)):
                    server = servers[(run + turn) % len(servers)]
                    _, took = server.ask(query, end - run * INTERVAL, ranged)
                    if run > 0:  # The first is to warm up.
                        timed.setdefault((name, ranged), {}).setdefault(server.name, []).append(took)
    return timed


def print_tables(servers, timed, agreed, series, samples, runs):
    first, second = servers[0].name, servers[1].name
    print(f"{series:,} series, {samples:,} samples; medians of {runs} runs in ms, instant / range; {os.cpu_count()} processors\n")
    print(f"| query | {' | '.join(server.name for server in servers)} | of {second} | same answers |")
    print("|---|" + "---:|" * (len(servers) + 2))
    for name in QUERIES:
        medians = {server.name: [statistics.median(timed[name, ranged][server.name]) * 1e3 for ranged in (False, True)]
                   for server in servers}
        cells = [" / ".join(f"{value:.2f}" if value < 10 else f"{value:.0f}" for value in medians[server.name]) for server in servers]
        share = " / ".join(f"{ours / theirs:.2f}" for ours, theirs in zip(medians[first], medians[second]))
        print(f"| {name} | {' | '.join(cells)} | {share} | {'yes' if agreed[name][first] else '**no**'} |")
    share = servers[0].samples_per_second / servers[1].samples_per_second
    print(f"| ingest, k samples/s | {' | '.join(f'{server.samples_per_second / 1e3:.0f}' for server in servers)} | {share:.2f} | |")
    for state in ("empty", "loaded", "after the queries"):
        print(f"| RSS {state}, MiB | {' | '.join(f'{server.resident[state]:.1f}' for server in servers)} | | |")
    added = [server.resident["after the queries"] - server.resident["empty"] for server in servers]
    loaded = [server.resident["loaded"] - server.resident["empty"] for server in servers]
    print(f"| what the data add, loaded, MiB | {' | '.join(f'{value:.1f}' for value in loaded)} | {loaded[0] / loaded[1]:.2f} | |")
    print(f"| what data and queries add, MiB | {' | '.join(f'{value:.1f}' for value in added)} | {added[0] / added[1]:.2f} | |")


# --- small things


def resident(pid):
    """MiB."""
    return bench.resident(pid)[0] / 1024


def wait_for(port, path):
    def answers():
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", path)
            return connection.getresponse().status == 200
    bench.until(answers, f"somebody is ready on {port}{path}")


if __name__ == "__main__":
    main()
