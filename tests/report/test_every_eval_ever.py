import json

from llmtune import cli
from llmtune.metrics import score_predictions
from llmtune.predictions import make_predictions, write_predictions
from llmtune.report.every_eval_ever import eee_record

# What the published schema (eval.schema.json 0.3.0) demands of a record, a result and a model.
REQUIRED = {"schema_version", "evaluation_id", "retrieved_timestamp", "source_metadata", "model_info", "eval_library"}
OF_A_RESULT = {"evaluation_name", "source_data", "metric_config", "score_details"}


def spam_table():
    reference = ["spam"] * 40 + ["ham"] * 60
    prediction = ["spam"] * 35 + ["ham"] * 65
    return make_predictions(
        "classification", {"reference": reference, "prediction": prediction}, label_names=["ham", "spam"]
    )


def test_a_record_has_what_the_schema_demands_and_our_numbers():
    table = spam_table()
    scores = score_predictions(table)
    record = eee_record("runs/a", table, scores, data="sms.csv", model_facts={"parameters": 7}, now=1_700_000_000.5)

    assert REQUIRED | {"evaluation_results"} == set(record)
    assert record["schema_version"] == "0.3.0"
    assert record["evaluation_id"] == "sms.csv/runs/a/1700000000"
    assert {"deployment_type", "model_availability"} <= set(record["model_info"]["additional_details"])
    assert all(isinstance(value, str) for value in record["model_info"]["additional_details"].values())
    results = {result["metric_config"]["metric_id"]: result for result in record["evaluation_results"]}
    assert all(set(result) >= OF_A_RESULT for result in results.values())
    accuracy = results["accuracy"]["score_details"]
    assert accuracy["score"] == 0.95
    interval = accuracy["uncertainty"]["confidence_interval"]
    assert (interval["lower"], interval["upper"]) == (scores["accuracy"].low, scores["accuracy"].high)
    assert results["accuracy"]["metric_config"]["max_score"] == 1.0
    assert results["accuracy"]["source_data"]["source_type"] == "other"
    json.dumps(record, allow_nan=False)


def test_a_scale_without_an_end_says_infinity_as_a_word():
    table = make_predictions("language-modeling", {"nll": [12.0, 9.0], "tokens": [4, 5]})
    record = eee_record("lm", table, score_predictions(table), data="texts.txt")
    perplexity = record["evaluation_results"][0]["metric_config"]

    assert (perplexity["min_score"], perplexity["max_score"], perplexity["lower_is_better"]) == (1.0, "Infinity", True)


def test_report_prints_records_of_its_tables(tmp_path, capsys):
    write_predictions(spam_table(), tmp_path / "a.parquet")
    write_predictions(spam_table(), tmp_path / "b.parquet")

    cli.run(["report", str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet"), "--format", "eee"])

    records = json.loads(capsys.readouterr().out)
    assert [record["model_info"]["name"] for record in records] == ["a", "b"]
