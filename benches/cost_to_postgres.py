#!/usr/bin/env python3
"""What being watched costs a Postgres: the agent and the newest exporter side by side, on servers of their own.

    tests/provide
    benches/cost_to_postgres.py [--seconds 60] [--interval 10] [--rounds 3] [--warm-up 75] [--agent BINARY] [--all-collectors] [--databases]

Starts three alike servers with 50 tables: one that the agent watches, one that the exporter watches, one that nobody does. Prints
what each server spent: cpu of all its processes, ended ones too (/proc/PID/stat of the postmaster counts them, in ticks of 10 ms: measure
for minutes), less than what the server spent that nobody watches; statements by pg_stat_statements; sessions by the server's log. Ends
only what it started.
"""
import argparse
import contextlib
import glob
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import beside_exporters as bench

# Off by default in the exporter, and collected by the agent.
MORE = ["database_wraparound", "long_running_transactions", "postmaster", "process_idle", "stat_activity_autovacuum",
        "stat_checkpointer", "stat_statements", "stat_wal_receiver", "statio_user_indexes", "xlog_location"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--interval", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm-up", type=int, default=75, help="seconds; in its first minute the agent asks and prepares all it asks later")
    parser.add_argument("--agent", type=pathlib.Path, help="the agent's binary; default: the release build's")
    parser.add_argument("--all-collectors", action="store_true", help="the exporter's collectors that are off by default, too")
    parser.add_argument("--databases", action="store_true", help="the agent looks at the tables of two further databases, too")
    parser.add_argument("--containers", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        servers = {name: Server(stack, folder, name) for name in ("sidewatch", "postgres_exporter", "nobody")}
        url = start_watching(stack, folder, servers, arguments)
        rows = [measure(servers, url, arguments) for _ in range(arguments.rounds)]
    print_table(rows, arguments)


class Server:
    def __init__(self, stack, folder, name):
        self.port, self.name = bench.free_port(), name
        binaries = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))[-1]
        home = folder / f"postgres-{name}"
        home.mkdir()
        become = []
        if os.getuid() == 0:
            shutil.chown(home, "postgres", "postgres")
            become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        subprocess.run([*become, f"{binaries}/initdb", "-D", f"{home}/data", "-U", "postgres", "-A", "trust", "-N"],
                       check=True, stdout=subprocess.DEVNULL, cwd="/")
        settings = ["listen_addresses=127.0.0.1", "shared_preload_libraries=pg_stat_statements", "log_connections=on", "autovacuum=off"]
        command = [*become, f"{binaries}/postgres", "-D", f"{home}/data", "-k", str(home), "-p", str(self.port)]
        self.process = bench.start(stack, folder, f"server-{name}", command + [part for setting in settings for part in ("-c", setting)])
        self.log = folder / f"server-{name}.log"
        bench.wait_for_port(self.port)
        bench.until(lambda: self.ask("create extension pg_stat_statements") is not None, "Postgres answers")
        self.ask("create role sidewatch login; grant pg_monitor to sidewatch")
        for database in ("orders", "vectors"):
            self.ask(f"create database {database}")
        self.ask("do $$ begin for n in 1..50 loop execute format('create table t%s (id int primary key, words text)', n); "
                 "execute format('insert into t%s select n, ''word'' from generate_series(1, 1000) n', n); end loop; end $$")

    def ask(self, sql):
        command = ["psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", "postgres", "-XAtqc", sql]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else None

    def statements(self):
        return float(self.ask("select coalesce(sum(calls), 0) from pg_stat_statements s join pg_roles r on r.oid = userid "
                              "where rolname = 'sidewatch'"))

    def sessions(self):
        return self.log.read_text().count("connection authorized: user=sidewatch")

    def cpu(self):
        """Seconds of the postmaster, its children that ended and those that live."""
        ended = sum(times(self.process.pid)[2:4]) / os.sysconf("SC_CLK_TCK")
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        alive = 0
        for process in (self.process.pid, *children):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                alive += int(pathlib.Path(f"/proc/{process}/schedstat").read_text().split()[0])
        return ended + alive / 1e9

    def spent(self):
        return self.cpu(), self.statements(), self.sessions()


def times(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return [int(field) for field in fields[11:15]]


def start_watching(stack, folder, servers, arguments):
    binary = arguments.agent or next(iter(glob.glob("target/*/release/sidewatch") + glob.glob("target/release/sidewatch")), None)
    if not binary:
        sys.exit("no release build of the agent: cargo build --release")
    interval, port = arguments.interval, bench.free_port()
    databases = ", databases: [postgres, orders, vectors]" if arguments.databases else ""
    config = folder / "sidewatch.yml"
    config.write_text(f"""
global: {{scrape_interval: {interval}s, scrape_timeout: {min(5, interval)}s}}
server: {{listen: "127.0.0.1:{port}"}}
storage: {{path: none}}
targets: [{{name: orders, url: "postgres://sidewatch@127.0.0.1:{servers['sidewatch'].port}/postgres"{databases}}}]
""")
    bench.start(stack, folder, "sidewatch", [str(pathlib.Path(binary).resolve()), "run", "--config", str(config)])
    arguments.installed = False
    exporter = next(path for _, name, path in bench.programs(arguments) if name == "postgres")
    port = bench.free_port()
    more = [f"--collector.{name}" for name in MORE] if arguments.all_collectors else []
    url = f"postgresql://sidewatch@127.0.0.1:{servers['postgres_exporter'].port}/postgres?sslmode=disable"
    bench.start(stack, folder, "exporter", [str(exporter), f"--web.listen-address=127.0.0.1:{port}", *more], {"DATA_SOURCE_NAME": url})
    bench.wait_for_port(port)
    address = f"http://127.0.0.1:{port}/metrics"
    scrape_for(address, arguments.warm_up, interval)
    return address


def scrape_for(url, seconds, interval):
    began = time.monotonic()
    for beat in range(max(1, seconds // interval)):
        bench.scrape(url)
        time.sleep(max(0, began + (beat + 1) * interval - time.monotonic()))


def measure(servers, url, arguments):
    before = {name: server.spent() for name, server in servers.items()}
    scrape_for(url, arguments.seconds, arguments.interval)
    after = {name: server.spent() for name, server in servers.items()}
    return {name: [late - early for early, late in zip(before[name], after[name])] for name in servers}


def print_table(rows, arguments):
    looks = arguments.seconds / arguments.interval
    collectors = "all collectors" if arguments.all_collectors else "default collectors"
    print(f"{arguments.rounds} times {arguments.seconds} s at {arguments.interval} s, 50 tables, the exporter with its {collectors}\n")
    print("| watched by | server cpu ms a look | statements a look | logins a look |\n|---|---:|---:|---:|")
    mean = {name: [sum(row[name][part] for row in rows) / len(rows) / looks for part in range(3)] for name in rows[0]}
    idle = mean["nobody"][0]
    for name in ("sidewatch", "postgres_exporter"):
        cpu, statements, sessions = mean[name]
        print(f"| {name} | {1000 * (cpu - idle):.1f} | {statements:.1f} | {sessions:.1f} |")
    ours, theirs = mean["sidewatch"], mean["postgres_exporter"]
    print(f"| ratio | {(ours[0] - idle) / (theirs[0] - idle):.2f} | {ours[1] / theirs[1]:.2f} | {ours[2] / theirs[2]:.2f} |")
    print(f"\n(server that nobody watches: {1000 * idle:.1f} ms in the same time)")


if __name__ == "__main__":
    main()
