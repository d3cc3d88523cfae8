#!/usr/bin/env python3
"""Memory and cpu of the agent beside the exporters that it stands in for, on one stack, at equal intervals.

    benches/beside_exporters.py [--seconds 600] [--interval 10] [--newest] [--newest-from FOLDER] [--agent BINARY] [--docker URL]

Starts a Postgres, a Redis and an application, the agent, and the exporters of the system's packages; with `--newest` also the
newest packaged ones, unpacked into a cache. Everything is scraped at the same interval. Prints a Markdown table: RSS and PSS
from /proc/PID/smaps_rollup (mean over the time), cpu seconds from /proc/PID/stat. Ends only what it started.
"""
import argparse
import contextlib
import glob
import http.server
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

EXPORTERS = ["postgres", "redis", "node", "blackbox"]
WARM_UP = 15  # Seconds; connections are made and caches filled.


def main():
    arguments = read_arguments()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        peers = start_stack(stack, folder)
        watched = [("sidewatch", *start_agent(stack, folder, peers, arguments))]
        for suite, root in suites(arguments):
            watched += [(f"{name}_exporter {version(path)} ({suite})", *start_exporter(stack, folder, peers, name, path))
                        for name, path in programs(root)]
        rows = measure(watched, arguments)
    print_table(rows, arguments)


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--interval", type=int, default=10)
    parser.add_argument("--newest", action="store_true", help="fetch the newest packaged exporters into the cache")
    parser.add_argument("--newest-from", type=pathlib.Path, help="a folder with usr/bin/prometheus-*-exporter")
    parser.add_argument("--agent", type=pathlib.Path, help="the agent's binary; default: the release build's")
    parser.add_argument("--docker", help="a Docker Engine for the agent to watch as well; no exporter here does that")
    return parser.parse_args()


# --- what is watched


def start_stack(stack, folder):
    ports = {name: free_port() for name in ("postgres", "redis", "app")}
    start_postgres(stack, folder, ports["postgres"])
    command = ["redis-server", "--port", str(ports["redis"]), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    start(stack, folder, "redis", command)
    application = http.server.ThreadingHTTPServer(("127.0.0.1", ports["app"]), Application)
    threading.Thread(target=application.serve_forever, daemon=True).start()
    stack.callback(application.shutdown)
    wait_for_port(ports["redis"])
    return ports


class Application(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"status":"ok"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def start_postgres(stack, folder, port):
    binaries = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))[-1]
    data = folder / "postgres"
    data.mkdir()
    become = []
    if os.getuid() == 0:
        shutil.chown(data, "postgres", "postgres")
        become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
    subprocess.run([*become, f"{binaries}/initdb", "-D", str(data / "data"), "-U", "postgres", "-A", "trust", "-N"],
                   check=True, stdout=subprocess.DEVNULL, cwd="/")
    command = [*become, f"{binaries}/postgres", "-D", str(data / "data"), "-k", str(data), "-p", str(port),
               "-c", "listen_addresses=127.0.0.1"]
    start(stack, folder, "postgres", command)
    wait_for_port(port)
    sql = "create role sidewatch login; grant pg_monitor to sidewatch"
    psql = ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-d", "postgres", "-qc", sql]
    until(lambda: subprocess.run(psql, stderr=subprocess.DEVNULL).returncode == 0, "Postgres answers")


# --- who watches


def start_agent(stack, folder, peers, arguments):
    binary = arguments.agent or next(iter(glob.glob("target/*/release/sidewatch") + glob.glob("target/release/sidewatch")), None)
    if not binary:
        sys.exit("no release build of the agent: cargo build --release")
    port, interval = free_port(), arguments.interval
    docker = f'\n  - {{name: docker, kind: docker, url: "{arguments.docker}"}}' if arguments.docker else ""
    config = folder / "sidewatch.yml"
    config.write_text(f"""
global: {{scrape_interval: {interval}s, scrape_timeout: {min(5, interval)}s}}
server: {{listen: "127.0.0.1:{port}"}}
storage: {{path: "{folder}/sidewatch"}}
targets:
  - {{name: app, url: "http://127.0.0.1:{peers['app']}/health"}}
  - {{name: orders, url: "postgres://sidewatch@127.0.0.1:{peers['postgres']}/postgres"}}
  - {{name: cache, url: "redis://127.0.0.1:{peers['redis']}"}}
  - {{name: host, kind: host}}{docker}
""")
    process = start(stack, folder, "sidewatch", [str(pathlib.Path(binary).resolve()), "run", "--config", str(config)])
    wait_for_port(port)
    return process, f"http://127.0.0.1:{port}/metrics"


def start_exporter(stack, folder, peers, name, path):
    port = free_port()
    listen, url = f"--web.listen-address=127.0.0.1:{port}", f"http://127.0.0.1:{port}/metrics"
    environment, more = {}, []
    if name == "postgres":
        environment = {"DATA_SOURCE_NAME": f"postgresql://sidewatch@127.0.0.1:{peers['postgres']}/postgres?sslmode=disable"}
    elif name == "redis":
        more = [f"--redis.addr=redis://127.0.0.1:{peers['redis']}"]
    elif name == "blackbox":
        modules = folder / "blackbox.yml"
        modules.write_text("modules: {http_2xx: {prober: http, http: {preferred_ip_protocol: ip4}}}\n")
        more = [f"--config.file={modules}"]
        url = f"http://127.0.0.1:{port}/probe?module=http_2xx&target=http://127.0.0.1:{peers['app']}/health"
    process = start(stack, folder, f"{name}-{port}", [str(path), listen, *more], environment)
    wait_for_port(port)
    return process, url


def suites(arguments):
    yield "installed", pathlib.Path("/")
    if arguments.newest_from:
        yield "newest", arguments.newest_from
    elif arguments.newest:
        yield "newest", fetch_newest()


def programs(root):
    for name in EXPORTERS:
        path = root / "usr/bin" / f"prometheus-{name}-exporter"
        if path.exists():
            yield name, path
        else:
            print(f"not there: {path.name} under {root}", file=sys.stderr)


def version(path):
    done = subprocess.run([str(path), "--version"], capture_output=True, text=True)
    found = re.search(r"(?:version |v)(\d+\.\d+(?:\.\d+)?)", done.stdout + done.stderr)
    return found.group(1) if found else "?"


def fetch_newest():
    """Unpacks the newest packages of the system's own mirror into a cache; nothing is installed."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "sidewatch-bench"
    root = cache / "root"
    if all((root / "usr/bin" / f"prometheus-{name}-exporter").exists() for name in EXPORTERS):
        return root
    (cache / "lists/partial").mkdir(parents=True, exist_ok=True)
    sources = pathlib.Path("/etc/apt/sources.list.d/debian.sources").read_text()
    mirror = re.search(r"^URIs: *(\S+)", sources, re.M).group(1)
    (cache / "sources.list").write_text(f"deb {mirror} forky main\ndeb {mirror} sid main\n")
    apt = ["apt-get", "-q", f"-oDir::Etc::sourcelist={cache}/sources.list", "-oDir::Etc::sourceparts=/dev/null",
           f"-oDir::State::Lists={cache}/lists", f"-oDir::Cache={cache}", "-oAPT::Sandbox::User="]
    subprocess.run([*apt, "update"], check=True, stdout=sys.stderr)
    for name in EXPORTERS:
        subprocess.run([*apt, "download", f"prometheus-{name}-exporter"], check=True, cwd=cache, stdout=sys.stderr)
    for package in cache.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(root)], check=True)
    return root


# --- the measuring


def measure(watched, arguments):
    print(f"warming up {WARM_UP} s, then {arguments.seconds} s", file=sys.stderr)
    scrape_for(watched, WARM_UP, arguments.interval)
    before = {name: cpu_seconds(process.pid) for name, process, _ in watched}
    memory = scrape_for(watched, arguments.seconds, arguments.interval)
    rows = []
    for name, process, url in watched:
        rss, pss = (sum(values) / len(values) / 1024 for values in zip(*memory[name]))
        rows.append((name, rss, pss, cpu_seconds(process.pid) - before[name], samples(url)))
    return rows


def scrape_for(watched, seconds, interval):
    """Scrapes each of them once per interval; RSS and PSS in KiB after each round."""
    memory = {name: [] for name, _, _ in watched}
    start_time = time.monotonic()
    for beat in range(max(1, seconds // interval)):
        time.sleep(max(0, start_time + (beat + 1) * interval - time.monotonic()))
        for name, process, url in watched:
            samples(url)
            memory[name].append(resident(process.pid))
    return memory


def samples(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return sum(1 for line in answer.read().splitlines() if line and not line.startswith(b"#"))


def resident(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return tuple(int(re.search(rf"^{key}: +(\d+)", text, re.M).group(1)) for key in ("Rss", "Pss"))


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def print_table(rows, arguments):
    print(f"{arguments.seconds} s, looked at and scraped every {arguments.interval} s, {os.cpu_count()} processors\n")
    print("| | RSS MB | PSS MB | cpu s | cpu % | samples |\n|---|---:|---:|---:|---:|---:|")
    for suite in ("installed", "newest"):
        of_suite = [row for row in rows if row[0].endswith(f"({suite})")]
        if of_suite:
            rows = rows + [(f"**exporters ({suite}), together**", *(sum(values) for values in list(zip(*of_suite))[1:]))]
    for name, rss, pss, cpu, count in rows:
        print(f"| {name} | {rss:.1f} | {pss:.1f} | {cpu:.2f} | {100 * cpu / arguments.seconds:.2f} | {count} |")


# --- small things


def start(stack, folder, name, command, environment=None):
    log = stack.enter_context(open(folder / f"{name}.log", "w"))
    process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/",
                               env={**os.environ, **(environment or {})})
    stack.callback(end, process)
    return process


def end(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port):
    def answers():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0
    until(answers, f"somebody listens on {port}")


def until(condition, what, seconds=30):
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            sys.exit(f"not within {seconds} s: {what}")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
