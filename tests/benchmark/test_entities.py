import json

import pytest
import torch
import transformers
from huggingface_hub.repocard_data import model_index_to_eval_results
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2

from llmtune import cli
from llmtune.benchmark.entities import named_entities, written_entities
from llmtune.errors import InputError
from llmtune.predictions import read_predictions
from tests.benchmark.conftest import write_rows

ROWS = [
    {"tokens": ["Ada", "Lovelace", "left", "London"], "tags": ["B-PER", "I-PER", "O", "B-LOC"]},
    {"tokens": ["the", "mill", "was", "old"], "tags": ["O", "O", "O", "O"]},
    {"tokens": ["Paris", "met", "Ada"], "tags": ["B-PER", "O", "B-PER"]},
]
TYPES = ["LOC", "PER"]


class Says:
    """A language model that gives these answers."""

    name = "says"

    def __init__(self, *answers):
        self.answers, self.asked = answers, []

    def write(self, prompts, max_new_tokens):
        self.asked += prompts
        return list(self.answers)


@pytest.fixture
def rows(tmp_path):
    return write_rows(tmp_path / "test.jsonl", ROWS)


def task_of(file, **options):
    from llmtune.benchmark.run import benchmark_tasks
    from llmtune.benchmark.task import TaskOptions

    return benchmark_tasks([f"ner={file}"], TaskOptions(**options))[0]


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    """A BERT that has learned the rows by heart."""
    from llmtune.models.from_scratch import train_tokenizer
    from llmtune.text.tag_schemes import iob2_tag_names

    transformers.set_seed(0)
    folder = tmp_path_factory.mktemp("tagger") / "bert"
    tokenizer = train_tokenizer("bert", [" ".join(row["tokens"]) for row in ROWS] * 4, 80, 64)
    names = iob2_tag_names(TYPES)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, pad_token_id=tokenizer.pad_token_id, hidden_dropout_prob=0.0,
        id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)},
    )  # fmt: skip
    model = transformers.BertForTokenClassification(config)
    batch = tokenizer([row["tokens"] for row in ROWS], is_split_into_words=True, padding=True, return_tensors="pt")
    labels = torch.full_like(batch["input_ids"], -100)
    for i, row in enumerate(ROWS):
        for j, word in enumerate(batch.word_ids(i)):
            labels[i, j] = -100 if word is None else names.index(row["tags"][word])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        model(**batch, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("line", "tags", "unread"),
    [
        ("PER: Ada; LOC: Paris", "B-PER O B-LOC O O", 0),
        ("LOC: Paris ; PER: Ada", "O O O O O", 1),  # a space before the semicolon: it is a word of the entity
        ("none", "O O O O O", 0),
        ("None.", "O O O O O", 0),
        ("", "O O O O O", 1),  # says nothing at all, not even none
        ("PER: Ada; PER: Ada; PER: Ada", "B-PER O O O B-PER", 1),  # two there, three named
        ("per: Ada", "O O O O O", 1),  # no type of this name
        ("PER: ada", "O O O O O", 1),  # not as it stands in the text
        ("PER: Ada left", "O O O O O", 1),  # not side by side
        ("PER:Ada", "O O O O O", 1),
        ("Ada and Paris are named", "O O O O O", 1),
        ("LOC: Paris ,; PER: Ada", "O O B-LOC I-LOC B-PER", 0),
        ("PER: Ada;", "B-PER O O O O", 0),
    ],
)
def test_an_answer_is_read_strictly_and_what_fits_nothing_is_counted(line, tags, unread):
    assert named_entities(line, ["Ada", "saw", "Paris", ",", "Ada"], TYPES) == (tags.split(), unread)


def test_the_right_answer_read_back_gives_the_tags():
    for row in ROWS:
        assert named_entities(written_entities(row["tokens"], row["tags"]), row["tokens"], TYPES) == (row["tags"], 0)


def test_written_entities_are_scored_as_seqeval_scores_their_tags(rows):
    from llmtune.metrics import score_predictions

    task = task_of(rows)
    table = task.predicted_by(Says("PER: Ada; LOC: London\nText: more", "PER: mill", "maybe PER: Ada; PER: Paris"))

    expected = f1_score(table.column("reference"), table.column("prediction"), mode="strict", scheme=IOB2)
    assert table.column("prediction")[0] == ["B-PER", "O", "O", "B-LOC"]
    assert score_predictions(table)["entity_f1"].value == pytest.approx(expected)
    assert task.notes(table) == [
        "pieces of answers that are no 'type: words' of their text: 1, in 1 of 3 answers; none counts as an entity"
    ]


def test_an_entity_whose_word_stands_before_it_too_is_said_to_be_out_of_reach(tmp_path):
    row = {"tokens": ["May", "I", "ask", "May"], "tags": ["O", "O", "O", "B-PER"]}
    task = task_of(write_rows(tmp_path / "may.jsonl", [row]))

    (note,) = task.notes(task.predicted_by(Says("PER: May")))
    assert note == "entities whose place in the text an answer can't tell, missed by any model: 1"


def test_demonstrations_show_every_type_first(rows, tmp_path):
    train = write_rows(tmp_path / "train.jsonl", [ROWS[1]] * 9 + [ROWS[2], ROWS[0]])
    model = Says("none", "none", "none")
    task = task_of(rows, train_file=str(train), num_fewshot=1)
    task.predicted_by(model)

    assert model.asked[1] == (
        "Name the entities of each text as 'type: words', separated by '; ', or write none. The types are: LOC, PER."
        "\n\nText: Ada Lovelace left London\nEntities: PER: Ada Lovelace; LOC: London\n\n"
        "Text: the mill was old\nEntities:"
    )


def test_a_tagger_a_prompted_model_and_known_names_stand_in_one_table(tagger, llama, rows, tmp_path):
    spans = [
        {"text": "Ada Lovelace left London", "spans": [[0, 12, "PER"], [18, 24, "LOC"]]},
        {"text": "the mill was old", "spans": []},
        {"text": "Paris met Ada", "spans": [[0, 5, "PER"], [10, 13, "PER"]]},
    ]
    for row in spans:
        row["spans"] = [{"start": start, "end": end, "label": label} for start, end, label in row["spans"]]
    as_spans = write_rows(tmp_path / "spans.jsonl", spans)
    metrics = []
    for name, file in (("tags", rows), ("spans", as_spans)):
        arguments = [
            "--models",
            str(tagger),
            str(llama),
            "baselines",
            "--tasks",
            f"ner={file}",
            "--train_file",
            str(rows),
        ]
        flags = ["--output_dir", str(tmp_path / name), "--speed_requests", "2", "--max_new_tokens", "8"]
        assert cli.run(["benchmark", *arguments, *flags, "--num_fewshot", "1"]) == 0
        (task,) = json.loads((tmp_path / name / "benchmark.json").read_text())["tasks"]
        metrics.append([each["metrics"]["entity_f1"]["value"] for each in task["models"]])

    assert [each["way"] for each in task["models"]] == ["fine-tuned", "prompted", "baseline"]
    assert task["main_metric"] == "entity_f1"
    assert metrics[0] == metrics[1] == [1.0, 0.0, 1.0]
    assert any(note.startswith("pieces of answers that are no") for note in task["models"][1]["notes"])
    table = read_predictions(next((tmp_path / "tags" / "predictions" / "ner").glob("*llama*")))
    assert len(table.column("answer")) == 3


def test_rows_that_no_entity_model_can_answer_are_refused(tagger, llama, tmp_path):
    empty = write_rows(tmp_path / "empty.jsonl", [ROWS[1]] * 2)
    with pytest.raises(InputError, match="no entity in 2 rows, expected tags B-X or I-X, or spans; name labeled rows"):
        assert task_of(empty).prompt
    with pytest.raises(InputError, match="names are known from the rows of train; add --train_file FILE"):
        task_of(empty).baselines()
    low = write_rows(tmp_path / "low.jsonl", [{"tokens": ["Ada"], "tags": ["B-per"]}])
    arguments = ["--models", str(llama), str(tagger), "--tasks", f"ner={low}", "--output_dir", str(tmp_path / "o")]
    with pytest.raises(InputError, match="did you mean 'PER'"):
        cli.run(["benchmark", *arguments])


def test_the_model_index_is_read_by_the_hub_library_with_the_numbers_of_the_benchmark(tagger, rows, tmp_path, capsys):
    arguments = ["--models", str(tagger), "baselines", "--tasks", f"ner={rows}", "--train_file", str(rows)]
    flags = ["--output_dir", str(tmp_path / "o"), "--speed_requests", "0", "--format", "model-index"]
    cli.run(["benchmark", *arguments, *flags])
    entries = json.loads(capsys.readouterr().out)
    (task,) = json.loads((tmp_path / "o" / "benchmark.json").read_text())["tasks"]

    assert [entry["name"] for entry in entries] == ["bert", "names known from train"]
    for entry, model in zip(entries, task["models"], strict=True):
        _, results = model_index_to_eval_results([entry])
        values = {result.metric_type: result.metric_value for result in results}
        assert values["entity_f1"] == model["metrics"]["entity_f1"]["value"]
        assert {result.task_type for result in results} == {"token-classification"}
        assert {result.dataset_name for result in results} == {"test.jsonl"}
