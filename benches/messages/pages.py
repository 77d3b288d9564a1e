"""Pages of very many messages: fills a database, starts a server on it, and asks.

`script/bench messages` runs it. Nothing but Python's own library, so that it needs no build.
"""

import argparse
import http.client
import json
import os
import platform
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

PASSWORD = "a door of the bench alone"
DAYS = 80
DAY_MS = 24 * 60 * 60 * 1000
# How many bits of an id count within its millisecond, as in src/messages/message_id.rs.
COUNT_BITS = 20
AT_A_TIME = 50_000
PAGES_IN_A_ROW = 5
COLUMNS = (
    "id, state, topic, device, account, sender, qos, retain, content_type, properties, "
    "expires_at, ended_at, detail, is_base64, payload"
)


def filters(now_ms):
    """What is asked for, by what it is called in the table."""
    day = time.strftime("%Y-%m-%d", time.gmtime((now_ms - 40 * DAY_MS) / 1000))
    next_day = time.strftime("%Y-%m-%d", time.gmtime((now_ms - 38 * DAY_MS) / 1000))
    return [
        ("none", {}),
        ("`from` and `to`", {"from": day, "to": next_day}),
        ("`direction=sent`", {"direction": "sent"}),
        ("`direction=received`", {"direction": "received"}),
        ("`state=failed`", {"state": "failed"}),
        ("`state=expired`", {"state": "expired"}),
        ("`device`", {"device": "860000000000007"}),
        ("one topic", {"topic": "messages/house/7/room/3"}),
        ("`messages/rare/#`", {"topic": "messages/rare/#"}),
        ("`messages/house/7/room/+`", {"topic": "messages/house/7/room/+"}),
        ("`messages/+`", {"topic": "messages/+"}),
        ("`telemetry/#`", {"topic": "telemetry/#"}),
        ("`messages/house/+/room/3`", {"topic": "messages/house/+/room/3"}),
        ("`messages/old/#`", {"topic": "messages/old/#"}),
        ("`messages/house/+/room/3`, `state=failed`",
         {"topic": "messages/house/+/room/3", "state": "failed"}),
        ("`messages/#`, `device`, `from`",
         {"topic": "messages/#", "device": "860000000000007", "from": day}),
    ]


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Server:
    """A server on this folder, until it is stopped."""

    def __init__(self, program, folder):
        environment = {**os.environ, "LATCHLIGHT_OWNER_PASSWORD": PASSWORD}
        command = [program, "serve", "--config", str(folder / "config.json")]
        self.log = open(folder / "log.jsonl", "a+", encoding="utf-8")
        self.began = time.monotonic()
        start = self.log.seek(0, os.SEEK_END)
        self.process = subprocess.Popen(command, env=environment, stderr=self.log)
        self.address = self.wait_until_ready(folder / "log.jsonl", start)
        self.seconds_to_start = time.monotonic() - self.began
        self.connection = http.client.HTTPConnection(self.address, timeout=600)
        self.sign_in()

    def wait_until_ready(self, log, start):
        while self.process.poll() is None:
            with open(log, encoding="utf-8") as lines:
                lines.seek(start)
                for line in lines:
                    if '"latchlight is ready"' in line and line.endswith("\n"):
                        return json.loads(line)["board"].removeprefix("http://").rstrip("/")
            time.sleep(0.05)
        sys.exit(f"bench: the server did not start: see {log}")

    def sign_in(self):
        form = {"grant_type": "password", "username": "owner", "password": PASSWORD}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        self.connection.request("POST", "/oauth/token", urllib.parse.urlencode(form), headers)
        granted = json.load(self.connection.getresponse())
        self.headers = {"Authorization": f"Bearer {granted['access_token']}"}
        self.signed_in = time.monotonic()

    def ask(self, path):
        """An answer that has begun, and when it was asked for."""
        if time.monotonic() - self.signed_in > 300:
            self.sign_in()
        began = time.monotonic()
        self.connection.request("GET", path, headers=self.headers)
        response = self.connection.getresponse()
        if response.status != 200:
            sys.exit(f"bench: {path}: {response.status} {response.read().decode()}")
        return response, began

    def resident_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))

    def stop(self):
        self.connection.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.log.close()


def configure(folder, rows):
    settings = {
        "http": {"listen": "127.0.0.1:0"},
        "mqtt": {"listen": "127.0.0.1:0", "store": False},
        "log": {"format": "json", "level": "info"},
        # Nothing is to be removed while it is measured.
        "messages": {"keep": 2 * rows + 1000, "keep_bytes": 1 << 50, "keep_days": 2 * DAYS},
    }
    text = json.dumps({"settings": settings, "state": {}})
    (folder / "config.json").write_text(text, encoding="utf-8")


def message(number, rows, now_ms, chance):
    """The columns of one, as the server would have written them."""
    part = number / rows
    at = now_ms - int((1 - part) * DAYS * DAY_MS)
    draw = chance.random()
    device, account, sender, ended = None, "account:bench", "app:bench", at + 12
    state, detail = "sent", None
    if draw < 0.5:
        device = f"8600000000{chance.randrange(50_000):05}"
        topic = f"messages/{device}"
    elif draw < 0.8:
        topic = f"messages/house/{chance.randrange(500)}/room/{chance.randrange(12)}"
    elif draw < 0.80001:
        topic = f"messages/rare/{chance.randrange(20)}"
    elif draw < 0.81 and part < 0.1:
        topic = f"messages/old/{chance.randrange(20)}"
    else:
        topic = f"telemetry/{chance.randrange(200)}"
        state, account, sender, ended = "received", None, None, None
    if state == "sent" and chance.random() < 0.002:
        state = chance.choice(["failed", "expired"])
        detail = "the broker cannot be reached"
    payload = f"relay {number % 8} {'on' if number % 2 else 'off'} " + "x" * chance.randrange(60)
    row_id = (at << COUNT_BITS) | (number & ((1 << COUNT_BITS) - 1))
    return (row_id, state, topic, device, account, sender, 1, 0, None, None, None, ended, detail,
            0, payload)


def fill(folder, rows, now_ms):
    """Writes the rows, and the indexes after them."""
    file = folder / "data" / "latchlight.db"
    database = sqlite3.connect(file, isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA journal_mode = WAL")
    made = database.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE tbl_name = 'messages' "
        "AND type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY type"
    ).fetchall()
    for kind, name, _ in made:
        database.execute(f"DROP {kind} {name}")
    chance = random.Random(1)
    insert = f"INSERT INTO messages ({COLUMNS}) VALUES ({', '.join('?' * 15)})"
    began = said = time.monotonic()
    for first in range(0, rows, AT_A_TIME):
        batch = range(first, min(first + AT_A_TIME, rows))
        database.execute("BEGIN")
        database.executemany(insert, (message(n, rows, now_ms, chance) for n in batch))
        database.execute("COMMIT")
        done, now = batch[-1] + 1, time.monotonic()
        if now - said > 5 or done == rows:
            said, left = now, (now - began) / done * (rows - done)
            say(f"{done:,} of {rows:,} rows, {left:.0f} s left")
    for kind, name, sql in made:
        say(f"making {kind} {name}")
        database.execute(sql)
    database.execute(
        "UPDATE messages_total SET (count, bytes) = (SELECT count(*), "
        "sum(200 + 2 * length(topic) + length(payload)) FROM messages)"
    )
    topics = database.execute("SELECT count(DISTINCT topic) FROM messages").fetchone()[0]
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return file.stat().st_size, topics


def pages(server, query, limit):
    """The milliseconds of up to some pages in a row, and how many messages they had."""
    times, found, cursor = [], 0, None
    while len(times) < PAGES_IN_A_ROW:
        asked = {**query, "limit": limit, **({"cursor": cursor} if cursor else {})}
        response, began = server.ask(f"/api/v1/messages?{urllib.parse.urlencode(asked)}")
        body = response.read()
        times.append((time.monotonic() - began) * 1000)
        page = json.loads(body)
        found += len(page["messages"])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    return times, found


def export(server):
    """How fast an export is, and by how much the server grows meanwhile."""
    before, most, size, lines = server.resident_kib(), 0, 0, 0
    response, began = server.ask("/api/v1/messages/export?format=ndjson")
    while chunk := response.read(1 << 20):
        size += len(chunk)
        lines += chunk.count(b"\n")
        most = max(most, server.resident_kib())
    seconds = time.monotonic() - began
    return {"rows": lines, "bytes": size, "seconds": seconds, "rows_per_second": lines / seconds,
            "resident_before_kib": before, "resident_most_kib": most}


def measure(server, rounds, now_ms):
    results = []
    for name, query in filters(now_ms):
        result = {"filter": name}
        for limit in (100, 1000):
            times, found = [], 0
            for _ in range(rounds):
                some, found = pages(server, query, limit)
                times += some
            result[limit] = {"median": statistics.median(times), "worst": max(times),
                             "pages": len(times), "found": found}
        results.append(result)
        say(f"{name}: median {result[100]['median']:.1f} and {result[1000]['median']:.1f} ms, "
            f"worst {result[100]['worst']:.1f} and {result[1000]['worst']:.1f} ms")
    return results


def table(report):
    lines = [
        f"`GET /api/v1/messages` of {report['rows']:,} messages in SQLite, "
        f"{report['file_bytes'] / 1e9:.2f} GB, {report['topics']:,} topics; milliseconds as a "
        f"client saw them, of up to {PAGES_IN_A_ROW} pages in a row; rounds: {report['rounds']}. "
        f"{report['date']}, {report['machine']}, load {report['load']:.1f} at the end; the server "
        f"started in {report['seconds_to_start']:.1f} s.",
        "",
        "| filter | 100: median | worst | 1,000: median | worst |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for result in report["filters"]:
        cells = [result["filter"]]
        for limit in (100, 1000):
            cells += [f"{result[limit][figure]:.1f}" for figure in ("median", "worst")]
        lines.append(f"| {' | '.join(cells)} |")
    taken = report["export"]
    lines += [
        "",
        f"Export as NDJSON: {taken['rows']:,} messages, {taken['bytes'] / 1e6:.0f} MB, in "
        f"{taken['seconds']:.1f} s, {taken['rows_per_second']:,.0f} a second; the server had "
        f"{taken['resident_before_kib'] / 1024:.0f} MiB before, and at the most "
        f"{taken['resident_most_kib'] / 1024:.0f} MiB meanwhile.",
    ]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True, help="the latchlight program")
    parser.add_argument("--out", required=True, help="where the figures go")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="leave the database there")
    given = parser.parse_args()
    if given.rows < 1000 or given.rounds < 1:
        parser.error("at least 1,000 rows and one round")
    out = Path(given.out).resolve()
    folder = out / "messages"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    configure(folder, given.rows)
    # The server makes its own tables.
    Server(given.program, folder).stop()
    now_ms = int(time.time() * 1000)
    size, topics = fill(folder, given.rows, now_ms)
    server = Server(given.program, folder)
    try:
        report = {
            "rows": given.rows, "file_bytes": size, "topics": topics, "rounds": given.rounds,
            "seconds_to_start": server.seconds_to_start,
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "filters": measure(server, given.rounds, now_ms), "export": export(server),
        }
    finally:
        server.stop()
    report["load"] = os.getloadavg()[0]
    (out / "messages.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (out / "messages.md").write_text(table(report), encoding="utf-8")
    print(table(report), end="")
    if not given.keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
