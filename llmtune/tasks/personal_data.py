"""Personal data (PII): entities of which a missed one costs more than a false alarm."""

from dataclasses import dataclass

from llmtune.tasks.token_classification.task import TokenClassification


@dataclass(frozen=True)
class PersonalData(TokenClassification):
    """A tagger that is judged by entity F2, in which recall counts twice."""

    name = "personal-data"
    deciding_metric = "entity_f2"
    shown = ("entity_f2", "entity_recall")
