"""What would fail after hours of training is refused before it."""

import datasets
import pytest

from llmtune.arguments import DataArguments, ModelArguments, TrainingArguments
from llmtune.arguments.parser import Arguments
from llmtune.errors import InputError
from llmtune.preflight import validate_metrics
from llmtune.tasks.personal_data import PersonalData
from llmtune.tasks.question_answering.arguments import QuestionAnsweringArguments
from llmtune.tasks.question_answering.task import QuestionAnswering
from llmtune.tasks.text_classification.arguments import TextClassificationArguments
from llmtune.tasks.text_classification.task import TextClassification
from llmtune.tasks.token_classification.arguments import TokenClassificationArguments
from llmtune.tasks.token_classification.task import TokenClassification
from llmtune.tasks.translation import Translation, TranslationArguments

TAGS = ("O", "B-PER", "I-PER")
TAGGED = {"tokens": [["Ann", "is", "in"]], "tags": [["B-PER", "O", "O"]]}
ROWS = {
    "spam": {"text": ["a", "b"], "label": ["ham", "spam"]},
    "ner": TAGGED,
    "pii": TAGGED,
    "qa": {"question": ["?"], "context": ["so it is"], "answers": [{"text": ["so"], "answer_start": [0]}]},
    "translation": {"source": ["one two three four"], "target": ["un deux trois quatre"]},
}
TASKS = {
    "spam": (TextClassification(("ham", "spam"), "spam", max_length=64), TextClassificationArguments),
    "ner": (TokenClassification(TAGS, 64, 8), TokenClassificationArguments),
    "pii": (PersonalData(TAGS, 64, 8), TokenClassificationArguments),
    "qa": (QuestionAnswering(64, 8), QuestionAnsweringArguments),
    "translation": (Translation(64, 64, 64), TranslationArguments),
}


class Splits(dict):
    """Train and validation, also as attributes."""

    @property
    def train(self):
        return self["train"]


def splits_of(recipe, validation=None):
    rows = {"train": ROWS[recipe], "validation": validation or ROWS[recipe]}
    return Splits({split: datasets.Dataset.from_dict(columns) for split, columns in rows.items()})


def validated(recipe, *, training=None, metrics=(), validation=None, **options):
    """The training arguments of a task whose metrics were validated."""
    task, arguments_type = TASKS[recipe]
    task = type(task)(**{**vars(task), "metrics": (*options.get("metric_names", ()), *metrics)})
    options.pop("metric_names", None)
    training = TrainingArguments("unused", use_cpu=True, **(training or {}))
    args = Arguments(DataArguments(), arguments_type(**options), ModelArguments(), training)
    validate_metrics(args, task, splits_of(recipe, validation))
    return training


@pytest.mark.parametrize(
    ("recipe", "metric"),
    [("spam", "f1"), ("ner", "entity_f1"), ("pii", "entity_f2"), ("qa", "f1"), ("translation", "bleu")],
)
def test_the_deciding_metric_of_the_task_picks_the_checkpoint(recipe, metric):
    training = validated(recipe)

    assert (training.metric_for_best_model, training.greater_is_better) == (metric, True)


@pytest.mark.parametrize(
    ("recipe", "metric", "greater"),
    [
        ("spam", "log_loss", False),
        ("spam", "mcc", True),
        ("ner", "repairs", False),
        ("qa", "nonfinite_rows", False),
        ("translation", "loss", False),
    ],
)
def test_every_metric_of_an_evaluation_may_pick_the_checkpoint_in_its_own_direction(recipe, metric, greater):
    training = validated(recipe, training={"metric_for_best_model": metric})

    assert training.greater_is_better is greater


def hits(predictions, references):
    return sum(p == r for p, r in zip(predictions, references, strict=True))


def word_loss(predictions, references):
    return 0.0


@pytest.mark.parametrize(("function", "greater"), [(hits, True), (word_loss, False)])
def test_a_function_may_pick_the_checkpoint(function, greater):
    training = validated("ner", metrics=[function], training={"metric_for_best_model": function.__name__})

    assert training.greater_is_better is greater


def test_a_function_may_have_a_target():
    validated("spam", metrics=[hits], targets="hits>=1")


@pytest.mark.parametrize(
    ("recipe", "options", "message"),
    [
        ("spam", {"targets": "recall[spma]>=0.8"}, "there is no 'recall[spma]' here; there are recall, "),
        ("spam", {"metric_names": ["bleu"]}, "--metrics bleu: bleu is a metric of text-generation, and this is "
         "classification; fitting are accuracy, average_precision, balanced_accuracy, "),
        ("spam", {"metric_names": ["no_such"]}, "--metrics no_such: metric 'no_such' is none of ours (accuracy, "),
        ("spam", {"loss": "hinge"}, "--loss 'hinge' is not one of cross_entropy, focal"),
        ("spam", {"training": {"metric_for_best_model": "f7"}}, "--metric_for_best_model f7 is not one of accuracy, "),
        ("translation", {"training": {"metric_for_best_model": "ter"}}, "--metric_for_best_model ter is not one of "),
        ("spam", {"training": {"push_to_hub": True, "hub_model_id": "a//b"}}, "--hub_model_id a//b: Repo id must "),
        ("translation", {"targets": "blue>=25"}, "--targets blue>=25: there is no 'blue' here; there are bleu, "),
        ("qa", {"training": {"label_smoothing_factor": 0.1}}, "--label_smoothing_factor: the loss of extractive "),
        ("ner", {"targets": "entity_recall[ORG]>=0.8"}, "there is no 'entity_recall[ORG]' here"),
        ("ner", {"class_weights": "1,2"}, "--class_weights '1,2': expected 3 numbers above 0, in the order O, B-PER, "),
        ("ner", {"metric_names": ["accuracy"]}, "accuracy is a metric of classification, and this is "
         "token-classification; fitting are entity_f1, token_accuracy"),
    ],
)  # fmt: skip
def test_what_a_task_can_not_have_is_refused(recipe, options, message):
    with pytest.raises(InputError) as refused:
        validated(recipe, **options)

    assert message in str(refused.value)


def test_targets_are_read_once_with_the_arguments():
    with pytest.raises(InputError, match="--targets 'f1=0.8': expected METRIC>=VALUE"):
        TextClassificationArguments(targets="f1=0.8")

    assert [str(target) for target in TextClassificationArguments(targets="f1>=0.8").required] == ["f1>=0.8"]


def test_an_unknown_objective_of_the_threshold_is_refused():
    with pytest.raises(InputError, match="--threshold_objective 'f3': expected f1, fbeta:2, recall>=0.95"):
        TextClassification.from_options(TextClassificationArguments(threshold_objective="f3"), ("a", "b"))


HAM = {"text": ["a", "b", "c"], "label": ["ham", "ham", "ham"]}
OUTSIDE = {"tokens": [["it", "is"]], "tags": [["O", "O"]]}


@pytest.mark.parametrize(
    ("recipe", "metric", "reason"),
    [
        ("spam", None, "f1: it can't pick a checkpoint, because on the 3 rows of validation it is undefined whatever"),
        (
            "spam",
            "roc_auc",
            "0 positive and 3 negative rows: a rank needs both. Give other rows of validation, leave --val",
        ),
        ("spam", "eval_precision", "no predictions of 'spam'"),
        ("spam", "recall[spam]", "no rows of 'spam'"),
        ("spam", "average_precision", "no positive row among 3"),
        ("spam", "mcc", "every reference is the same class"),
        ("ner", None, "0 entities in the reference"),
        ("pii", "entity_recall", "0 entities in the reference"),
    ],
)
def test_a_metric_that_validation_can_not_define_is_refused_before_training(recipe, metric, reason):
    training = {} if metric is None else {"metric_for_best_model": metric}

    with pytest.raises(InputError) as refused:
        validated(recipe, training=training, validation=HAM if recipe == "spam" else OUTSIDE)

    assert str(refused.value).startswith("--metric_for_best_model ")
    assert reason in str(refused.value)


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "log_loss", "loss"])
def test_a_metric_that_says_something_of_one_class_may_pick_the_checkpoint(metric):
    training = validated("spam", training={"metric_for_best_model": metric}, validation=HAM)

    assert training.metric_for_best_model == metric


def test_without_a_checkpoint_to_pick_no_metric_is_refused():
    validated("spam", training={"load_best_model_at_end": False, "save_strategy": "no"}, validation=HAM)
