"""What a model must beat: predictions of the majority class, of TF-IDF with logistic regression, of known names."""

from collections.abc import Sequence

import numpy as np

from llmtune.predictions import Predictions, make_predictions
from llmtune.tasks.tag_schemes import entities_of


def majority(train_labels: Sequence[str], test: Predictions) -> Predictions:
    """Always the most frequent class of train, with the class shares of train as probabilities."""
    counts = np.array([sum(label == name for label in train_labels) for name in test.label_names])
    shares = counts / counts.sum()
    return make_predictions(
        "classification",
        {
            "reference": test.column("reference"),
            "prediction": [test.label_names[int(counts.argmax())]] * len(test),
            "probabilities": [shares] * len(test),
        },
        split=test.split,
        label_names=test.label_names,
        positive_label=test.positive_label,
    )


def tfidf_logistic_regression(
    train_texts: Sequence[str], train_labels: Sequence[str], test_texts: Sequence[str], test: Predictions
) -> Predictions:
    """TF-IDF of words and word pairs with logistic regression (scikit-learn), trained on the same rows."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    # sublinear_tf and C=10: the usual settings for short texts; nothing is tuned, it is a yardstick.
    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=1, token_pattern=r"(?u)\b\w+\b|[^\w\s]"),
        LogisticRegression(C=10.0, max_iter=1000),
    )
    pipeline.fit(train_texts, train_labels)
    order = [list(pipeline.classes_).index(name) for name in test.label_names]
    probabilities = pipeline.predict_proba(test_texts)[:, order]
    return make_predictions(
        "classification",
        {
            "reference": test.column("reference"),
            "prediction": [test.label_names[i] for i in probabilities.argmax(axis=1)],
            "probabilities": probabilities,
        },
        split=test.split,
        label_names=test.label_names,
        positive_label=test.positive_label,
    )


def known_entities(
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
        for entity in entities_of(tags):
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
        "token-classification",
        {"tokens": test.column("tokens"), "reference": test.column("reference"), "prediction": prediction},
        split=test.split,
        settings=test.settings,
    )
