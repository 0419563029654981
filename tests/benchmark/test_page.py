import json
import re

import pytest

from tests.benchmark.conftest import TEMPLATE, labeled_rows, write_rows
from tests.benchmark.server import ECHO_IGNORED, Server
from tests.benchmark.test_local_models import benchmark
from tests.commands.conftest import spam_model  # noqa: F401 - a fixture
from tests.report.conftest import browser  # noqa: F401 - a fixture


@pytest.fixture(scope="module")
def folder(llama, spam_model, tmp_path_factory):  # noqa: F811
    made = tmp_path_factory.mktemp("page")
    rows = labeled_rows(40, seed=2)
    rows[0]["text"] = "<script>alert(1)</script> win a prize"
    test, train = write_rows(made / "test.jsonl", rows), write_rows(made / "train.jsonl", labeled_rows(60, seed=4))
    flags = ["--train_file", str(train), "--prompt_template", TEMPLATE, "--num_fewshot", "2", "--speed_requests", "3"]
    with Server(llama) as right, Server(llama, fault=ECHO_IGNORED) as wrong:
        models = [spam_model, llama, right.spec, wrong.spec, "baselines"]
        tasks = [f"classification={test}"]
        benchmark(made / "b", models, tasks, *flags, "--slo", "latency<=60s", "--concurrency", "1", "2")
    return made / "b"


def test_the_page_has_every_model_with_the_numbers_of_the_json(folder):
    page = (folder / "benchmark.html").read_text(encoding="utf-8")
    (task,) = json.loads((folder / "benchmark.json").read_text())["tasks"]

    for model in task["models"]:
        if model["refusal"]:
            assert model["refusal"] in page
            continue
        value = model["metrics"]["f1"]
        shown = f"{value['value']:.3f}" if value["low"] is None else f"{value['value']:.3f} [{value['low']:.3f}, "
        assert shown in page
    for pair in task["pairs"]:
        assert pair["sentence"].replace("'", "&#39;") in page
    assert task["prompt"]["sha256"][:12] in page
    assert "under load" in page


def test_the_headline_says_who_is_best_and_whether_the_rows_tell(folder):
    page = (folder / "benchmark.html").read_text(encoding="utf-8")
    (task,) = json.loads((folder / "benchmark.json").read_text())["tasks"]
    headline = re.search(r'<p class="verdict">(.*?)</p>', page)[1]

    assert "is best on f1" in headline
    best = task["ranked"][0]
    unclear = [pair for pair in task["pairs"] if best in (pair["a"], pair["b"]) and not pair["outcome"]]
    assert ("not significantly better than" in headline) == bool(unclear)


def test_texts_of_rows_are_escaped(folder):
    assert "<script>alert" not in (folder / "benchmark.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("width", "dark"), [(390, False), (1280, True)])
def test_a_browser_shows_it_narrow_and_wide_without_scrolling_sideways(folder, browser, width, dark):  # noqa: F811
    browser.requests()  # those of before
    browser.open(folder / "benchmark.html", width=width, dark=dark)

    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.violations() == []
    assert [address for address in browser.requests() if address.startswith("http")] == []
