#!/usr/bin/env python3
"""Memory and cpu of the agent beside the exporters that it stands in for, on one stack, at equal intervals.

    tests/provide
    benches/beside_exporters.py [--seconds 600] [--interval 10] [--installed] [--agent BINARY] [--containers 20]

Starts a Postgres with 50 tables, a PgBouncer before it, a Redis, an application and containers on a Docker Engine, some load on them,
the agent, and the newest exporters as `tests/provide` has put them into the test cache; with `--installed` those of the system too.
All are scraped at the same interval. Prints a Markdown table: RSS and PSS from /proc/PID/smaps_rollup (mean over the time), cpu
seconds from /proc/PID/stat, the time of an answer in the median and per sample. Ends only what it started.
"""
import argparse
import contextlib
import glob
import http.server
import os
import pathlib
import re
import shutil
import statistics
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

EXPORTERS = ["postgres", "redis", "pgbouncer", "node", "blackbox"]
CADVISOR_SUITE = "bullseye"  # The last Debian that carries it, at 0.38.
TABLES = 50
WARM_UP = 15  # Seconds; connections are made and caches filled.


def main():
    arguments = read_arguments()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        peers = start_stack(stack, folder)
        if arguments.containers:
            start_containers(stack, folder, arguments.containers)
        start_load(stack, peers)
        watched = [("sidewatch", *start_agent(stack, folder, peers, arguments))]
        for suite, name, path in programs(arguments):
            watched.append((f"{name}_exporter {version(path)} ({suite})", *start_exporter(stack, folder, peers, name, path)))
        if arguments.containers:
            path = cadvisor()
            watched.append((f"cadvisor {version(path)} (newest)", *start_exporter(stack, folder, peers, "cadvisor", path)))
        rows = measure(watched, arguments)
    print_table(rows, arguments)


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--interval", type=int, default=10)
    parser.add_argument("--installed", action="store_true", help="the system's own exporters besides")
    parser.add_argument("--agent", type=pathlib.Path, help="the agent's binary; default: the release build's")
    parser.add_argument("--containers", type=int, default=20, help="how many to start on this machine's Docker Engine, 0 for no engine")
    return parser.parse_args()


# --- what is watched


def start_stack(stack, folder):
    ports = {name: free_port() for name in ("postgres", "pgbouncer", "redis", "app")}
    start_postgres(stack, folder, ports["postgres"])
    command = ["redis-server", "--port", str(ports["redis"]), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    start(stack, folder, "redis", command)
    start_pgbouncer(stack, folder, ports)
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
    until(lambda: psql(port, "create role sidewatch login; grant pg_monitor to sidewatch"), "Postgres answers")
    psql(port, ";".join(f"create table t{n} (id int primary key, words text); insert into t{n} select n, 'word' from "
                        f"generate_series(1, 1000) n" for n in range(TABLES)))


def psql(port, sql):
    command = ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-d", "postgres", "-qc", sql]
    return subprocess.run(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode == 0


def start_pgbouncer(stack, folder, ports):
    home = folder / "pgbouncer"
    home.mkdir()
    (home / "users.txt").write_text('"sidewatch" ""\n"postgres" ""\n')
    (home / "pgbouncer.ini").write_text(f"""
[databases]
postgres = host=127.0.0.1 port={ports['postgres']} dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {ports['pgbouncer']}
unix_socket_dir =
auth_type = trust
auth_file = {home}/users.txt
stats_users = sidewatch
pool_mode = transaction
ignore_startup_parameters = extra_float_digits
""")
    become = []
    if os.getuid() == 0:
        for path in (home, *home.iterdir()):
            shutil.chown(path, "postgres", "postgres")
        become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
    start(stack, folder, "pgbouncer", [*become, "pgbouncer", str(home / "pgbouncer.ini")])
    wait_for_port(ports["pgbouncer"])


def start_containers(stack, folder, count):
    root = folder / "image"
    (root / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    archive = shutil.make_archive(str(folder / "image"), "tar", root)
    name = f"sidewatch-bench-{os.getpid()}"
    docker("import", archive, name)
    stack.callback(docker, "rmi", "-f", name)
    for number in range(count):
        docker("run", "-d", "--name", f"{name}-{number}", "--label", "com.docker.compose.project=bench", "--label",
               f"com.docker.compose.service=s{number}", name, "/bin/busybox", "sleep", "86400")
        stack.callback(docker, "rm", "-f", f"{name}-{number}")


def docker(*arguments):
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"docker {' '.join(arguments)}: {done.stderr}")


def start_load(stack, ports):
    """A query through the pool, a few commands on the cache and a request to the application, five times a second."""
    stop = threading.Event()

    def load():
        redis = socket.create_connection(("127.0.0.1", ports["redis"]))
        number = 0
        while not stop.wait(0.2):
            number += 1
            redis.sendall(f"SET key:{number % 100} value EX 60\r\nGET key:{number % 150}\r\n".encode())
            redis.recv(4096)
            if number % 25 == 0:
                psql(ports["pgbouncer"], f"update t{number % TABLES} set words = 'other' where id = {number % 1000}")

    thread = threading.Thread(target=load)
    thread.start()
    stack.callback(thread.join)
    stack.callback(stop.set)


# --- who watches


def start_agent(stack, folder, peers, arguments):
    binary = arguments.agent or next(iter(glob.glob("target/*/release/sidewatch") + glob.glob("target/release/sidewatch")), None)
    if not binary:
        sys.exit("no release build of the agent: cargo build --release")
    port, interval = free_port(), arguments.interval
    docker = '\n  - {name: docker, kind: docker, url: "unix:///var/run/docker.sock"}' if arguments.containers else ""
    config = folder / "sidewatch.yml"
    config.write_text(f"""
global: {{scrape_interval: {interval}s, scrape_timeout: {min(5, interval)}s}}
server: {{listen: "127.0.0.1:{port}"}}
storage: {{path: "{folder}/sidewatch"}}
targets:
  - {{name: app, url: "http://127.0.0.1:{peers['app']}/health"}}
  - {{name: orders, url: "postgres://sidewatch@127.0.0.1:{peers['postgres']}/postgres"}}
  - {{name: cache, url: "redis://127.0.0.1:{peers['redis']}"}}
  - {{name: pool, url: "pgbouncer://sidewatch@127.0.0.1:{peers['pgbouncer']}"}}
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
    elif name == "pgbouncer":
        more = [f"--pgBouncer.connectionString=postgres://sidewatch@127.0.0.1:{peers['pgbouncer']}/pgbouncer?sslmode=disable"]
    elif name == "blackbox":
        modules = folder / "blackbox.yml"
        modules.write_text("modules: {http_2xx: {prober: http, http: {preferred_ip_protocol: ip4}}}\n")
        more = [f"--config.file={modules}"]
        url = f"http://127.0.0.1:{port}/probe?module=http_2xx&target=http://127.0.0.1:{peers['app']}/health"
    command = [str(path), listen, *more]
    if name == "cadvisor":
        command = [str(path), "-listen_ip=127.0.0.1", f"-port={port}"]
    process = start(stack, folder, f"{name}-{port}", command, environment)
    wait_for_port(port)
    return process, url


def peers_folder():
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "sidewatch-test"
    return pathlib.Path(os.environ.get("SIDEWATCH_TEST_CACHE", cache)) / "peers"


def programs(arguments):
    for name in EXPORTERS:
        suites = {"newest": peers_folder() / f"{name}_exporter"}
        if arguments.installed:
            suites["installed"] = pathlib.Path(f"/usr/bin/prometheus-{name}-exporter")
        for suite, path in suites.items():
            if path.exists():
                yield suite, name, path
            elif suite == "newest":
                sys.exit(f"{path} is not there: run tests/provide")


def cadvisor():
    """The program, out of the newest Debian package there is; downloaded and unpacked once, never installed."""
    path = peers_folder() / "cadvisor"
    if path.exists():
        return path
    sources = pathlib.Path("/etc/apt/sources.list.d/debian.sources")
    found = re.search(r"^URIs: *(\S+)", sources.read_text(), re.M) if sources.exists() else None
    with tempfile.TemporaryDirectory() as folder:
        lists = pathlib.Path(folder, "lists")
        (lists / "partial").mkdir(parents=True)
        pathlib.Path(folder, "sources.list").write_text(
            f"deb {found.group(1) if found else 'http://deb.debian.org/debian'} {CADVISOR_SUITE} main\n")
        apt = ["apt-get", "-q", f"-oDir::Etc::sourcelist={folder}/sources.list", "-oDir::Etc::sourceparts=/dev/null",
               f"-oDir::State::Lists={lists}", f"-oDir::Cache={folder}", "-oAPT::Sandbox::User=root"]
        subprocess.run([*apt, "update"], check=True, cwd=folder, stdout=sys.stderr)
        subprocess.run([*apt, "download", "cadvisor"], check=True, cwd=folder, stdout=sys.stderr)
        package = next(pathlib.Path(folder).glob("cadvisor_*.deb"))
        subprocess.run(["dpkg", "-x", str(package), f"{folder}/root"], check=True)
        shutil.copy(f"{folder}/root/usr/bin/cadvisor", path)
    return path


def version(path):
    done = subprocess.run([str(path), "--version"], capture_output=True, text=True)
    found = re.search(r"(?:[vV]ersion v?|Exporter v?|v)(\d+\.\d+(?:\.\d+)?)", done.stdout + done.stderr)
    return found.group(1) if found else "?"


# --- the measuring


def measure(watched, arguments):
    print(f"warming up {WARM_UP} s, then {arguments.seconds} s", file=sys.stderr)
    scrape_for(watched, WARM_UP, arguments.interval)
    before = {name: cpu_seconds(process.pid) for name, process, _ in watched}
    seen = scrape_for(watched, arguments.seconds, arguments.interval)
    rows = []
    for name, process, url in watched:
        rss, pss, took = zip(*seen[name])
        cpu = cpu_seconds(process.pid) - before[name]
        rows.append((name, mean(rss) / 1024, mean(pss) / 1024, cpu, scrape(url)[0], statistics.median(took) * 1e3))
    return rows


def mean(values):
    return sum(values) / len(values)


def scrape_for(watched, seconds, interval):
    """Scrapes each of them once per interval; RSS and PSS in KiB after each round, and the time of the answer."""
    seen = {name: [] for name, _, _ in watched}
    start_time = time.monotonic()
    for beat in range(max(1, seconds // interval)):
        time.sleep(max(0, start_time + (beat + 1) * interval - time.monotonic()))
        for name, process, url in watched:
            _, took = scrape(url)
            seen[name].append((*resident(process.pid), took))
    return seen


def scrape(url):
    """How many samples the page has, and how long it took."""
    began = time.monotonic()
    with urllib.request.urlopen(url, timeout=10) as answer:
        body = answer.read()
    took = time.monotonic() - began
    return sum(1 for line in body.splitlines() if line and not line.startswith(b"#")), took


def resident(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return tuple(int(re.search(rf"^{key}: +(\d+)", text, re.M).group(1)) for key in ("Rss", "Pss"))


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def print_table(rows, arguments):
    print(f"{arguments.seconds} s, looked at and scraped every {arguments.interval} s, {os.cpu_count()} processors\n")
    print("| | RSS MB | PSS MB | cpu s | cpu % | samples | answer ms | us/sample |\n|---|---:|---:|---:|---:|---:|---:|---:|")
    for suite in ("installed", "newest"):
        of_suite = [row for row in rows if row[0].endswith(f"({suite})")]
        if of_suite:
            rows = rows + [(f"**exporters ({suite}), together**", *(sum(values) for values in list(zip(*of_suite))[1:]))]
    for name, rss, pss, cpu, count, took in rows:
        print(f"| {name} | {rss:.1f} | {pss:.1f} | {cpu:.2f} | {100 * cpu / arguments.seconds:.2f} | {count} "
              f"| {took:.1f} | {1000 * took / count:.1f} |")


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
