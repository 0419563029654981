"""What would fail after hours of training is refused before it."""

import datasets
import pytest

from llmtune.arguments import TrainingArguments
from llmtune.errors import InputError
from llmtune.preflight import loss_and_directions, metrics_of
from llmtune.tasks.text_classification.arguments import TextClassificationArguments
from llmtune.tasks.text_classification.task import TextClassification
from llmtune.tasks.token_classification.arguments import TokenClassificationArguments
from llmtune.tasks.token_classification.task import TokenClassification

SPAM = TextClassification(("ham", "spam"), "spam", 64)
TAGGER = TokenClassification(("O", "B-PER", "I-PER"), 64, 8)
ROWS = datasets.Dataset.from_dict({"tokens": [["Ann", "is", "in"]], "tags": [["B-PER", "O", "O"]]})


def judged(**options):
    training = TrainingArguments("unused", use_cpu=True)
    return loss_and_directions(TAGGER, TokenClassificationArguments(**options), training, ROWS)


def test_the_metrics_of_an_evaluation_are_told_with_their_directions():
    _, directions = metrics_of(SPAM, TextClassificationArguments(targets="recall[spam]>=0.8,f1>=0.5"))
    loss, of_tagger = judged(targets="entity_recall[PER]>=0.8", class_weights="balanced")

    assert directions["f1"] is True
    assert directions["log_loss"] is False
    assert of_tagger["entity_f2"] is True
    assert of_tagger["repairs"] is False
    assert loss.class_weights == (0.75, 1.5, 1.0)  # 3 words / (2 tags that occur x words of the tag)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": "recall[spma]>=0.8"}, "there is no 'recall[spma]' here; there are recall, "),
        ({"threshold_objective": "f3"}, "--threshold_objective 'f3': expected f1, fbeta:2, recall>=0.95"),
        ({"metrics": ["bleu"]}, "--metrics bleu: bleu is a metric of text-generation, and this is classification; "
         "fitting are accuracy, average_precision, balanced_accuracy, "),
        ({"metrics": ["no_such"]}, "--metrics no_such: metric 'no_such' is none of ours (accuracy, "),
    ],
)  # fmt: skip
def test_a_classifiers_judges_are_refused(options, message):
    with pytest.raises(InputError) as refused:
        metrics_of(SPAM, TextClassificationArguments(**options))

    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": "entity_recall[ORG]>=0.8"}, "there is no 'entity_recall[ORG]' here"),
        ({"class_weights": "1,2"}, "--class_weights '1,2': expected 3 numbers above 0, in the order O, B-PER, I-PER"),
        ({"metrics": ["accuracy"]}, "accuracy is a metric of classification, and this is token-classification; "
         "fitting are entity_f1, token_accuracy"),
    ],
)  # fmt: skip
def test_a_taggers_judges_are_refused(options, message):
    with pytest.raises(InputError) as refused:
        judged(**options)

    assert message in str(refused.value)
