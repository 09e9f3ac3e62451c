"""What is shown of a run: workers and parts always, trouble only where there is some."""

from cluster.cli.run_facts import bound_by, facts_rows, facts_text, failures
from cluster.progress import RunFacts

CALM = RunFacts(workers=8, in_flight=16, parts_done=30, parts=128, counters={"status_ok": 99.0})
TROUBLED = RunFacts(
    workers=7, starting=1, in_flight=14, parts_done=1, parts=2, repeated=3, quarantined=1,
    worker_deaths=4,
    counters={
        "status_ok": 9.0, "status_undecodable": 2.0, "status_too_large": 5.0, "status_crashed": 0.0,
        "model_s": 3.0, "wait_read_s": 1.0,
    },
)  # fmt: skip


def test_a_calm_run_is_two_rows():
    assert dict(facts_rows(CALM)) == {
        "workers": "8 at work",
        "parts": "30 of 128 done, 16 in hand",
    }
    assert facts_text(CALM) == ["8 workers"]
    assert bound_by(CALM) == ""


def test_trouble_is_told():
    rows = dict(facts_rows(TROUBLED))
    assert rows["workers"] == "7 at work, 1 starting, 4 lost so far"
    assert rows["parts"].endswith("3 repeated")
    assert rows["failed images"] == "5 too_large, 2 undecodable"
    assert rows["quarantined"] == "1 part"
    assert rows["bound by"] == "the model (75% of worker time)"
    assert facts_text(TROUBLED) == ["7 workers", "7 failed images", "1 quarantined"]
    assert failures(CALM) == {}
