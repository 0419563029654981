"""What a model must beat: predictions tables of the majority class and of TF-IDF with logistic regression."""

from collections.abc import Sequence

import numpy as np

from llmtune.predictions import Predictions, make_predictions


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
