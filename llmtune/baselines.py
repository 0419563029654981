"""What a model must beat: simple predictions of the rows of a table, each as a predictions table of its own.

Classes, one or several a row: the majority, TF-IDF with logistic regression. Entities: known names. Texts: the source
copied, its first sentences. Answers: the sentence of the context that the question shares most words with. Numbers: the
mean, TF-IDF with ridge regression, for series the last value. Language models: an n-gram model of bytes.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from llmtune.errors import InputError
from llmtune.predictions import Predictions, make_predictions
from llmtune.predictions.kinds import (
    CLASSIFICATION,
    MULTILABEL_CLASSIFICATION,
    QUESTION_ANSWERING,
    REGRESSION,
    TEXT_GENERATION,
    TOKEN_CLASSIFICATION,
    Kind,
    first_reference,
    shortens,
)
from llmtune.predictions.median_classes import DECIDED_BY, median_classes
from llmtune.progress import waiting
from llmtune.text.byte_ngrams import ByteNgrams
from llmtune.text.sentences import sentences_of
from llmtune.text.tag_schemes import entity_spans
from llmtune.text.text_pairs import words_by_half
from llmtune.text.words import fold_words

INTERVAL = ("lower", "upper")  # columns of a prediction interval
LEAD = 3  # sentences: lead-3 is the yardstick of news summaries


def majority(train_labels: Sequence[str], test: Predictions) -> Predictions:
    """Always the most frequent class of train, with the class shares of train as probabilities."""
    counts = np.array([sum(label == name for label in train_labels) for name in test.label_names])
    shares = counts / counts.sum()
    return make_predictions(
        CLASSIFICATION,
        {
            "reference": test.column("reference"),
            "prediction": [test.label_names[int(counts.argmax())]] * len(test),
            "probabilities": [shares] * len(test),
        },
        split=test.split,
        label_names=test.label_names,
        positive_label=test.positive_label,
        settings=test.settings,
    )


@waiting("TF-IDF baseline")
def tfidf_ridge(
    train_texts: Sequence[str], train_values: Sequence[float], test_texts: Sequence[str], test: Predictions
) -> Predictions:
    """TF-IDF of words and word pairs with ridge regression (scikit-learn, alpha 1), trained on the same rows."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(_tfidf(), Ridge()).fit(train_texts, train_values)
    return _answered(test, pipeline.predict(test_texts).tolist())


@waiting("TF-IDF baseline")
def tfidf_logistic_regression(
    train_texts: Sequence[str], train_labels: Sequence[str], test_texts: Sequence[str], test: Predictions
) -> Predictions:
    """TF-IDF of words and word pairs with logistic regression (scikit-learn), trained on the same rows.

    Two texts a row come joined (`join_pairs`): a word counts by which of them holds it, or both.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(_tfidf(), LogisticRegression(C=10.0, max_iter=1000))
    pipeline.fit(train_texts, train_labels)
    order = [list(pipeline.classes_).index(name) for name in test.label_names]
    probabilities = pipeline.predict_proba(test_texts)[:, order]
    # It decides as the model beside it does, or the decision would be what is compared.
    by_median = test.settings.get("ordinal") and test.settings.get(DECIDED_BY) != "argmax"
    chosen = median_classes(probabilities) if by_median else probabilities.argmax(axis=1)
    return make_predictions(
        CLASSIFICATION,
        {
            "reference": test.column("reference"),
            "prediction": [test.label_names[i] for i in chosen],
            "probabilities": probabilities,
        },
        split=test.split,
        label_names=test.label_names,
        positive_label=test.positive_label,
        settings=test.settings,
    )


def _tfidf() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    # sublinear_tf, and C=10 of what reads it: the usual settings for short texts; nothing is tuned, it is a yardstick.
    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=1, tokenizer=words_by_half, token_pattern=None)


def majority_set(train: np.ndarray, test: Predictions) -> Predictions:
    """Always the most frequent set of labels of train, with the shares of its labels as probabilities.

    Args:
        train: which labels each row has, bool (n, c) in the order of the table's.
        test: a table of several labels a row.
    """
    sets, counts = np.unique(train, axis=0, return_counts=True)
    return _of_sets(np.repeat(train.mean(axis=0)[None], len(test), axis=0), sets[counts.argmax()][None], test)


@waiting("TF-IDF baseline")
def tfidf_one_vs_rest(
    train_texts: Sequence[str], train: np.ndarray, test_texts: Sequence[str], test: Predictions
) -> Predictions:
    """TF-IDF of words and word pairs with a logistic regression a label (scikit-learn), its rare side weighted up.

    Args:
        train_texts: n texts.
        train: which labels each has, bool (n, c) in the order of the table's.
        test_texts: of the rows of the table.
        test: a table of several labels a row.
    """
    from sklearn.linear_model import LogisticRegression

    words = _tfidf()
    rows, asked = words.fit_transform(train_texts), words.transform(test_texts)
    columns = []
    for labels in train.T:
        if labels.all() or not labels.any():  # nothing to learn
            columns.append(np.full(len(test), float(labels.all())))
            continue
        # Balanced: at a threshold of one half the plain one hardly ever predicts a rare label.
        model = LogisticRegression(C=10.0, max_iter=1000, class_weight="balanced").fit(rows, labels)
        columns.append(model.predict_proba(asked)[:, 1])
    probabilities = np.stack(columns, axis=1)
    return _of_sets(probabilities, probabilities >= 0.5, test)


def _of_sets(probabilities: np.ndarray, predicted: np.ndarray, test: Predictions) -> Predictions:
    """A table of the rows of `test` from (n, c) probabilities and decisions, or decisions (1, c) for all rows."""
    sets = [[test.label_names[label] for label in np.flatnonzero(row)] for row in predicted]
    columns = {
        "reference": test.column("reference"),
        "prediction": sets if len(sets) == len(test) else sets * len(test),
        "probabilities": probabilities,
    }
    return make_predictions(MULTILABEL_CLASSIFICATION, columns, split=test.split, label_names=test.label_names)


def gazetteer(
    train_tokens: Sequence[Sequence[str]], train_tags: Sequence[Sequence[str]], test: Predictions
) -> Predictions:
    """CoNLL-2003's own baseline: phrases that are entities of one type alone in train, the longest first.

    Args:
        train_tokens: words.
        train_tags: IOB2.
        test: a token-classification table with `tokens`.
    """
    types: dict[tuple[str, ...], set[str]] = {}
    for tokens, tags in zip(train_tokens, train_tags, strict=True):
        for entity in entity_spans(tags):
            types.setdefault(tuple(tokens[entity.first : entity.end]), set()).add(entity.type)
    known = {words: of.copy().pop() for words, of in types.items() if len(of) == 1}
    longest = max(map(len, known), default=0)
    prediction = []
    for tokens in test.column("tokens"):
        tags, word = ["O"] * len(tokens), 0
        while word < len(tokens):
            lengths = range(min(longest, len(tokens) - word), 0, -1)
            length = next((n for n in lengths if tuple(tokens[word : word + n]) in known), 0)
            if length:
                kind = known[tuple(tokens[word : word + length])]
                tags[word : word + length] = [f"B-{kind}"] + [f"I-{kind}"] * (length - 1)
            word += max(1, length)
        prediction.append(tags)
    return make_predictions(
        TOKEN_CLASSIFICATION,
        {"tokens": test.column("tokens"), "reference": test.column("reference"), "prediction": prediction},
        split=test.split,
        settings=test.settings,
    )


def copy_source(test: Predictions) -> Predictions:
    """The source as it stands, of a text-generation table with `source`: what a translation must beat.

    Raises:
        InputError: the table has no `source`.
    """
    return _answered(test, [text or "" for text in _needed(test, "source", "copy-source")])


def lead_sentences(test: Predictions, count: int = LEAD) -> Predictions:
    """The first sentences of the source, of a text-generation table with `source`: what a summary must beat.

    Raises:
        InputError: the table has no `source`.
    """
    sources = _needed(test, "source", f"lead-{count}")
    return _answered(test, [" ".join(sentences_of(text or "")[:count]) for text in sources])


def best_overlap_sentence(test: Predictions, contexts: Sequence[str] | None = None) -> Predictions:
    """The sentence of the context that shares most words with the question, the first of equals.

    A word weighs log((s + 1) / d), where d of the context's s sentences have it: what all of them say tells nothing.

    Args:
        test: a question-answering table with `question`.
        contexts: of each row; default the table's column `context`.

    Raises:
        InputError: the table lacks one of them.
    """
    questions = _needed(test, "question", "best-overlap sentence")
    given = _needed(test, "context", "best-overlap sentence") if contexts is None else contexts
    cut = {context: _weighed(context or "") for context in set(given)}  # questions share contexts
    answers = []
    for question, context in zip(questions, given, strict=True):
        asked = set(fold_words(question or ""))
        shared = [(sum(weights[word] for word in asked & weights.keys()), one) for one, weights in cut[context]]
        answers.append(max(shared, key=lambda found: found[0], default=(0.0, ""))[1])
    return _answered(test, answers)


def persistence(test: Predictions, before: Sequence[float] | None = None) -> Predictions:
    """The last value known stays: for series, of a regression table with `time`.

    Args:
        test: one row a step; or windows that each begin one step after the one before.
        before: the value before each row; default the column `last_value`, else the row before in time tells it, and
            the first row, which has none, keeps the prediction of `test`, so that it decides nothing between the two.

    Raises:
        InputError: `before` is not given and the table has no `time`.
    """
    predictions = test.column("prediction")
    if before is None and test.has("last_value"):
        before = test.column("last_value")
    if before is None:
        times = _needed(test, "time", "persistence")
        references = test.column("reference")
        order = sorted(range(len(test)), key=lambda row: times[row])
        last = dict(zip(order[1:], (first_reference(references[row]) for row in order), strict=False))
    else:
        last = dict(enumerate(before))
    return _answered(test, [_filled(row, last[i]) if i in last else row for i, row in enumerate(predictions)])


def mean_value(test: Predictions, train_values: Sequence[float] | None = None) -> Predictions:
    """Always the mean: of train's values, else of the references of `test` themselves, as R² takes it."""
    values = test.column("reference") if train_values is None else train_values
    mean = float(np.mean([number for value in values for number in (value if isinstance(value, list) else [value])]))
    return _answered(test, [_filled(row, mean) for row in test.column("prediction")])


def byte_ngram(test: Predictions, train_texts: Sequence[str]) -> Predictions:
    """An n-gram model of the bytes of train on the column `text` of a language-modeling table.

    `tokens` stay those of `test`, so that the nats of a token compare, as the bits of a byte do.

    Raises:
        InputError: the table has no `text`.
    """
    texts = _needed(test, "text", "byte n-gram")
    model = ByteNgrams(train_texts)
    nll = pa.array([math.log(2) * model.bits(text) for text in texts], pa.float64())
    table = test.table.set_column(test.table.column_names.index("nll"), "nll", nll)
    return replace(test, table=table.drop_columns([name for name in ("correct",) if test.has(name)]))


def table_baselines(test: Predictions) -> dict[str, Predictions]:
    """The baselines that need no more than the table itself, by the name that a person reads.

    Sources much longer than their references are shortened by lead-3, others copied. A table with rows that lack an
    answer or have no finite reference has none.
    """
    if any(test.table.column(name).null_count for name in ("reference", "prediction", "time") if test.has(name)):
        return {}
    return OF_TABLE[test.kind](test) if test.kind in OF_TABLE else {}


def _of_texts(test: Predictions) -> dict[str, Predictions]:
    if not test.has("source"):
        return {}
    return {f"lead-{LEAD}": lead_sentences(test)} if shortens(test) else {"copy-source": copy_source(test)}


def _of_answers(test: Predictions) -> dict[str, Predictions]:
    read = test.has("question") and test.has("context")
    return {"best-overlap sentence": best_overlap_sentence(test)} if read else {}


def _of_numbers(test: Predictions) -> dict[str, Predictions]:
    if not _all_finite(test.column("reference")):
        return {}
    series = {"persistence": persistence(test)} if test.has("time") and len(test) > 1 else {}
    return {"mean": mean_value(test), **series}


OF_TABLE: dict[Kind, Callable[[Predictions], dict[str, Predictions]]] = {
    TEXT_GENERATION: _of_texts,
    QUESTION_ANSWERING: _of_answers,
    REGRESSION: _of_numbers,
}


def _answered(test: Predictions, prediction: Sequence[Any]) -> Predictions:
    """The rows of `test` with other predictions, without the intervals of its own."""
    test = replace(test, table=test.table.drop_columns([name for name in INTERVAL if test.has(name)]))
    position = test.table.column_names.index("prediction")
    kind = None if test.kind.number_columns else pa.string()  # numbers, or lists of them, whatever the table's were
    return replace(test, table=test.table.set_column(position, "prediction", pa.array(prediction, kind)))


def _needed(test: Predictions, column: str, baseline: str) -> list[Any]:
    if not test.has(column):
        raise InputError(f"the baseline {baseline} needs a column {column!r}; the table has {test.table.column_names}")
    return test.column(column)


def _weighed(context: str) -> list[tuple[str, dict[str, float]]]:
    """Each sentence with its words and their weights."""
    sentences = sentences_of(context)
    words = [set(fold_words(sentence)) for sentence in sentences]
    counts = Counter(word for of_sentence in words for word in of_sentence)
    weights = {word: math.log((len(sentences) + 1) / count) for word, count in counts.items()}
    return [(one, {word: weights[word] for word in of_one}) for one, of_one in zip(sentences, words, strict=True)]


def _filled(like: Any, value: Any) -> Any:
    return [value] * len(like) if isinstance(like, list) else value


def _all_finite(references: Sequence[Any]) -> bool:
    numbers = [number for value in references for number in (value if isinstance(value, list) else [value])]
    return bool(numbers) and all(number is not None and np.isfinite(number) for number in numbers)
