"""Judge any model in a notebook: data in memory, honest splits, scores with intervals, a verdict, a comparison.

Each `# %%` begins a cell: VS Code, Jupyter with jupytext and Spyder open this file as a notebook. It also runs as it
is, in seconds and without torch: `python docs/judge_in_memory.py`. The models here are scikit-learn's; predictions of
any other are judged the same way.
"""

# %% Data: a table in memory, here the embedded demo of spam
from pathlib import Path

import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from llmtune import Report, compare
from llmtune.data import InMemoryData, load_splits

DEMO = Path(__file__).parents[1] / "recipes" / "demo" / "spam"
messages = pd.concat([pd.read_csv(DEMO / f"{split}.csv") for split in ("train", "validation", "test")])

# %% Honest splits: stratified, and copies of a text stay on one side
data = InMemoryData(messages, name="messages", test_fraction=0.3)
splits = load_splits(
    data, columns={"text": "text", "label": "label"}, label_column="label", text_columns=["text"], seed=42
)
print(splits.made["test"])
train, test = splits.train.to_pandas(), splits.test.to_pandas()

# %% Two models: words, and letters in groups of two to four
words = make_pipeline(TfidfVectorizer(max_features=60), LogisticRegression(max_iter=1000))
letters = make_pipeline(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)), LogisticRegression(max_iter=1000))


def judge(model, name: str) -> Report:
    """Fits on train, answers test, and judges the answers."""
    model.fit(train["text"], train["label"])
    return Report.from_predictions(
        test["label"],
        model.predict(test["text"]),
        model.predict_proba(test["text"]),
        labels=list(model.classes_),
        columns={"text": test["text"]},
        train=train,  # for the checks of leakage and of simpler models
        targets="recall[spam]>=0.8,precision[spam]>=0.9",
        name=name,
    )


# %% The report: in a notebook the last line of a cell shows the page
report = judge(letters, "letters")
print(report)

# %% Its parts
print(report.scores["f1"])
print(report.verdict.verdict, "because", report.verdict.sentence)
for check in report.verdict.checks:
    if check.status == "fail":
        print(check.check, check.finding, check.remedy, sep="\n  ")

# %% Is it better than the other, on the same rows?
comparison = compare(judge(words, "words"), report)
print(comparison)

# %% What stays: report.html, metrics.json, verdict.json; compare.html, comparison.json
paths = [*report.save("judged"), *comparison.save("judged")]
print(*paths, sep="\n")
# report.push("user/name") publishes the page and the numbers, without the rows
