"""Texts that are no answer: empty, cut off, one phrase over and over, the source copied, one text for every input."""

from collections import Counter
from collections.abc import Sequence

from llmtune.diagnosis.check import FAIL, NOT_ENOUGH_DATA, PASS, Check, not_applicable, percent
from llmtune.diagnosis.proportions import Proportion
from llmtune.evidence import ENOUGH, FEWEST, SURE_LEVEL
from llmtune.predictions import Predictions
from llmtune.text.words import split_at_spaces

NAME = "degenerate_output"
LARGE = 0.05  # share of such outputs that makes a model unfit
SIGNIFICANTLY_ABOVE = 0.01  # and the share that the lower end of the 99 % interval must be above
CUT_OFF = "cut off before their end"
MOST_REPEATS = 4  # a phrase of at most four words, said this often in a row


def degenerate_output(predictions: Predictions) -> Check:
    """Counts each fault among the rows whose reference does not have it too."""
    if not predictions.kind.free_text:
        return not_applicable(NAME, f"{predictions.kind} tables hold no generated texts")
    texts = [text or "" for text in predictions.column("prediction")]
    references = [[row] if isinstance(row, str) else list(row or []) for row in predictions.column("reference")]
    sources = predictions.column("source") if predictions.has("source") else None
    if len(texts) < FEWEST:
        return Check(NAME, NOT_ENOUGH_DATA, f"Too few texts ({len(texts)}) to judge", {"rows": len(texts)})
    faults = {"empty": _rate([not text.strip() for text in texts], [_is_empty(of) for of in references])}
    faults["repeated"] = _rate(
        [repeats(text) for text in texts], [any(repeats(text) for text in of) for of in references]
    )
    if sources is not None:
        copied = [_same(text, source) for text, source in zip(texts, sources, strict=True)]
        right = [any(_same(one, source) for one in of) for of, source in zip(references, sources, strict=True)]
        faults["copied from the source"] = _rate(copied, right)
    faults["the same text"] = _sameness(texts, references)
    if predictions.has("ended"):
        faults[CUT_OFF] = Proportion(sum(not ended for ended in predictions.column("ended")), len(texts))
    numbers = {name: rate.to_json() for name, rate in faults.items()}
    bad = {n: r for n, r in faults.items() if r.value >= LARGE and r.interval(SURE_LEVEL)[0] > SIGNIFICANTLY_ABOVE}
    if bad:
        said = ", ".join(f"{percent(rate.value)} of the outputs are {name}" for name, rate in bad.items())
        remedy = (
            "look at the rows: is the end token trained, does the prompt match that of training, is "
            "--learning_rate too high? Repeats: generate with no_repeat_ngram_size or beams"
        )
        if set(bad) == {CUT_OFF}:
            remedy = "raise --max_new_tokens; where it is long enough, look at whether the end token is trained"
        return Check(NAME, FAIL, f"Degenerate outputs: {said}", numbers, remedy)
    if len(texts) < ENOUGH:
        return Check(NAME, NOT_ENOUGH_DATA, f"{len(texts)} texts are too few to rule out degenerate outputs", numbers)
    worst = max(faults, key=lambda name: faults[name].value)
    return Check(
        NAME, PASS, f"No sign of degenerate outputs; most frequent: {percent(faults[worst].value)} {worst}", numbers
    )


def repeats(text: str, times: int = MOST_REPEATS) -> bool:
    """Whether a phrase of one to four words stands `times` times or more in a row.

    >>> repeats("to be to be to be to be"), repeats("very very good")
    (True, False)
    """
    words = split_at_spaces(text)
    for size in range(1, 5):
        run = 0
        for here, before in zip(words[size:], words, strict=False):
            run = run + 1 if here == before else 0
            if run >= size * (times - 1):
                return True
    return False


def _rate(faulty: Sequence[bool], so_in_reference: Sequence[bool]) -> Proportion:
    judged = [fault for fault, right in zip(faulty, so_in_reference, strict=True) if not right]
    return Proportion(sum(judged), len(judged))


def _is_empty(references: Sequence[str]) -> bool:
    return not references or any(not text.strip() for text in references)


def _same(text: str, source: str | None) -> bool:
    return bool(text.strip()) and text.split() == (source or "").split()


def _sameness(texts: Sequence[str], references: Sequence[Sequence[str]]) -> Proportion:
    """The most frequent output that is not empty, beyond how often the reference says it."""
    said = Counter(text for text in texts if text.strip())
    if not said:
        return Proportion(0, len(texts))
    text, count = said.most_common(1)[0]
    right = sum(text in of for of in references)
    return Proportion(0 if count == 1 else max(0, count - right), len(texts))
