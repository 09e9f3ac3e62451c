"""From real images to a page in a browser: score with features, map, select, report."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cluster import map as make_map
from cluster import report, score, select
from cluster.execution import ExecutionConfig
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.spec import ScoreSpec
from selector.teachers.spec import TeacherSpec
from shards.reader import open_shard
from tests.support.browser import chromium, complaints, open_page
from tests.support.tars import samples_tar

DATA = Path(os.environ.get("COURSEPACK_DATA", ""))
NUM_IMAGES = 300

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(not os.environ.get("COURSEPACK_DATA"), reason="COURSEPACK_DATA is not set"),
]


def test_the_map_of_a_wild_pool_shows_its_images(tmp_path: Path) -> None:
    pytest.importorskip("openTSNE")
    with open_shard(str(DATA / "wild" / "wild-000.tar.gz")) as reader:
        samples = {
            sample.entry.key: {
                member.extension: bytes(data)
                for member, data in zip(sample.entry.members, sample.data, strict=True)
            }
            for sample in reader.samples(stop=NUM_IMAGES)
        }
    (tmp_path / "wild.tar").write_bytes(samples_tar(samples))
    teacher = TeacherSpec(
        name="he/resnet20", weights=str(DATA / "weights" / "resnet20_cifar10.npz")
    )
    run = str(tmp_path / "run")
    score(
        [str(tmp_path / "wild.tar")], spec=ScoreSpec(teacher=teacher), out=run,
        execution=ExecutionConfig(executor="inline", threads=1),
        features=FeatureSpec(mode="pca:16"),
    )  # fmt: skip
    for name, step in (("sure", {"take": {"n": 60, "order": "noise_value"}}),
                       ("chance", {"sample": {"n": 60, "seed": 0}})):  # fmt: skip
        select(run, recipe={"name": name, "steps": [step]})
    made = make_map(run, selections=["sure"])
    assert made.num_drawn == NUM_IMAGES
    page = report(run, selection="sure", compare="chance")
    with chromium() as browser:
        from selenium.webdriver.common.keys import Keys
        from selenium.webdriver.support.ui import WebDriverWait

        open_page(browser, page)
        for name in ("noise", "classes", "map", "compare", "kept", "dropped", "by-class"):
            assert browser.find_element("id", name).is_displayed()
        canvas = browser.find_element("id", "map-canvas")
        canvas.send_keys(Keys.ARROW_RIGHT, Keys.ENTER)
        key = browser.find_element("css selector", "#map-card-text b").text
        assert key in samples
        colours = (
            "const c = document.getElementById('map-card-picture');"
            "const p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "return new Set(p).size"
        )
        # A photo has many colours: it was cut from the sheet, and the sheet was decoded.
        WebDriverWait(browser, 10).until(lambda _: browser.execute_script(colours) > 30)
        canvas.send_keys("v")
        assert browser.find_element("id", "map-count").text == str(NUM_IMAGES)
        assert complaints(browser) == []
