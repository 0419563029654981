"""Perplexity says how well texts are predicted, not whether a task is done: it requires a task's result beside it."""

from llmtune.diagnosis.check import NOT_ENOUGH_DATA, PASS, Check, not_applicable
from llmtune.predictions import Predictions

NAME = "perplexity_alone"


def perplexity_alone(predictions: Predictions, task_results: tuple[str, ...] = ()) -> Check:
    """Says so where no result of a task stands beside; that alone never makes a model not ready.

    Args:
        predictions: the table.
        task_results: names of the results of tasks beside it.
    """
    if "perplexity" not in predictions.kind.metrics:
        return not_applicable(NAME, f"a {predictions.kind} table is itself the result of a task")
    if task_results:
        return Check(
            NAME, PASS, f"Perplexity is reported with {', '.join(task_results)}", {"beside": list(task_results)}
        )
    finding = "Perplexity is the only result: a lower perplexity does not guarantee better task performance"
    remedy = (
        "evaluate the model on a task too (llmtune report on a table of its answers), and read both results together"
    )
    return Check(NAME, NOT_ENOUGH_DATA, finding, {"beside": []}, remedy)
