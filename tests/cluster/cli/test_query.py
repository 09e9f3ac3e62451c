"""`coursepack query` in every format, to stdout and to files."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cluster.cli.main import app
from cluster.cli.tables import MAX_ROWS_SHOWN, cell_text
from tests.support.runs import write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("query") / "run", num_shards=2, per_shard=600).root


def _query(run, sql, *arguments):
    return CliRunner().invoke(app, ["query", run, sql, *map(str, arguments)])


def test_a_table_for_eyes(run):
    result = _query(run, "SELECT status, count(*) AS n FROM scores GROUP BY 1 ORDER BY 2 DESC")
    assert result.exit_code == 0
    header, _, first, second = (line.split() for line in result.stdout.rstrip().splitlines())
    assert (header, first, second) == (["status", "n"], ["ok", "1140"], ["undecodable", "60"])


def test_a_long_table_stops_and_says_so(run):
    result = _query(run, "SELECT row_id FROM scores")
    assert len(result.stdout.splitlines()) == MAX_ROWS_SHOWN + 2
    assert "only the first 1,000 rows are shown" in result.stderr


def test_one_json_object(run):
    sql = "SELECT content_hash, sum(num_bytes) AS total FROM scores GROUP BY 1 LIMIT 2"
    answer = json.loads(_query(run, sql, "--json").stdout)
    assert (answer["exit_code"], answer["num_rows"]) == (0, 2)
    assert answer["columns"] == ["content_hash", "total"]
    assert len(answer["rows"][0]["content_hash"]) == 32
    assert isinstance(answer["rows"][0]["total"], int)


def test_json_rows(run):
    result = _query(run, "SELECT 1 AS a, NULL AS b, [1, 2] AS c", "--format", "json")
    assert json.loads(result.stdout) == [{"a": 1, "b": None, "c": [1, 2]}]


def test_csv_has_every_row(run):
    result = _query(run, "SELECT key, noise_value FROM scores ORDER BY row_id", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert len(rows) == 1200
    assert rows[0]["key"] == "s00000/img000000"
    assert result.stderr == ""


@pytest.mark.parametrize("form", ["csv", "json", "table"])
def test_columns_of_one_name_are_all_there(run, form):
    result = _query(run, "SELECT 11 AS a, 22 AS a", "--format", form)
    assert "11" in result.stdout
    assert "22" in result.stdout


def test_parquet_to_a_file_and_through_a_pipe(run, tmp_path):
    sql, out = "SELECT row_id, status FROM scores", tmp_path / "rows.parquet"
    result = _query(run, sql, "--format", "parquet", "--out", out, "--json")
    assert json.loads(result.stdout) == {
        "exit_code": 0, "out": str(out), "num_rows": 1200, "columns": ["row_id", "status"],
    }  # fmt: skip
    assert pq.read_table(out).num_rows == 1200
    main = "from cluster.cli.main import main; main()"
    piped = subprocess.run(
        [sys.executable, "-c", main, "query", run, sql, "--format", "parquet"],
        capture_output=True,
        check=True,
    )
    assert pq.read_table(io.BytesIO(piped.stdout)).num_rows == 1200


def test_arrow_to_a_file_and_as_a_stream(run, tmp_path):
    sql, out = "SELECT row_id, status FROM scores", tmp_path / "rows.arrow"
    result = _query(run, sql, "--format", "arrow", "--out", out)
    assert result.stdout == f"1,200 rows in {out}\n"
    assert pa.ipc.open_file(out).read_all().num_rows == 1200
    piped = CliRunner().invoke(app, ["query", run, sql, "--format", "arrow"])
    assert pa.ipc.open_stream(piped.stdout_bytes).read_all().num_rows == 1200


def test_an_error_in_the_middle_leaves_no_file(run, tmp_path):
    out = tmp_path / "rows.parquet"
    sql = "SELECT CAST(CASE WHEN range > 500000 THEN 'x' ELSE '1' END AS INT) FROM range(1000000)"
    result = _query(run, sql, "--format", "parquet", "--out", out)
    assert result.exit_code == 2
    assert result.stderr == "error: SQL: Conversion Error: Could not convert string 'x' to INT32\n"
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_ends_a_long_query_at_once(run, tmp_path):
    tables = "scores a, scores b, scores c, scores d"  # 10^12 rows: no machine is through too soon
    sql = f"SELECT sum(hash(a.row_id, b.row_id, c.row_id, d.row_id)) FROM {tables}"
    main = "from cluster.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", main, "query", run, sql],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        text=True,
    )
    while not list(tmp_path.iterdir()):  # the folder of the connection: it is at work
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "")
    assert errors.startswith("interrupted; ")
    assert list(tmp_path.iterdir()) == []


def test_a_table_to_a_file_has_all_rows(run, tmp_path):
    out = tmp_path / "rows.txt"
    assert _query(run, "SELECT row_id FROM scores", "--out", out).exit_code == 0
    assert len(out.read_text().splitlines()) == 1202


@pytest.mark.parametrize(
    "sql", ["SELEC 1", "DROP VIEW scores", "SELECT * FROM read_csv('/etc/passwd')", "SELECT nope"]
)
def test_wrong_sql_is_wrong_use(run, sql):
    result = _query(run, sql)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr


def test_what_is_no_run_is_told(tmp_path):
    result = _query(str(tmp_path), "SELECT 1")
    assert result.exit_code in (1, 2)
    assert str(tmp_path) in result.stderr


def test_hostile_cells_do_not_reach_the_terminal(run):
    result = _query(run, "SELECT 'a' || chr(27) || '[2J' || chr(10) || '[red]b' AS key")
    assert "a\\x1b[2J\\n[red]b" in result.stdout


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0.1 + 0.2, "0.3"), (1e-9, "1e-09"), (True, "True"), ([1, "a"], '[1, "a"]')],
)
def test_cells(value, text):
    assert cell_text(value) == text
