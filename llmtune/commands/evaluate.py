"""`llmtune evaluate`: a trained model on labeled rows; leaves run.json, predictions/test.parquet and metrics.json."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llmtune.arguments import RUN_MARKER, DataArguments
from llmtune.data import Fingerprint
from llmtune.diagnosis.text_cautions import text_cautions
from llmtune.errors import InputError
from llmtune.metrics import metrics_to_json
from llmtune.predictions import write_predictions
from llmtune.report.judgement import score_table
from llmtune.runs.folder import make_folder, run_content, write_json, write_metrics
from llmtune.terminal.document import print_document, terminal_beside
from llmtune.terminal.run_end import show_cautions
from llmtune.terminal.score_tables import missing_reasons, show_scores
from llmtune.text.shorten import row_count
from llmtune.trained_models import InferenceResult, load_task, run_model

LEFT = ("run.json", "predictions/test.parquet", "metrics.json")
COMMAND = "evaluate"


def evaluate(
    *,
    model: str,
    output_dir: str,
    test_file: str | None = None,
    dataset_name: str | None = None,
    dataset_config_name: str | None = None,
    dataset_revision: str | None = None,
    text_column: str = "text",
    text_pair_column: str | None = None,
    label_column: str = "label",
    tokens_column: str = "tokens",
    tags_column: str = "tags",
    spans_column: str = "spans",
    sentence_column: str | None = None,
    split_group_column: str | None = None,
    label_names: str | None = None,
    label_separator: str | None = None,
    label_columns: Sequence[str] = (),
    question_column: str = "question",
    context_column: str = "context",
    answers_column: str = "answers",
    source_column: str | None = None,
    prompt_column: str | None = None,
    messages_column: str | None = None,
    input_format: str | None = None,
    document_start: str | None = None,
    max_length: int | None = None,
    stride: int | None = None,
    target_column: str | None = None,
    completion_column: str | None = None,
    group_columns: Sequence[str] = (),
    slice_columns: Sequence[str] = (),
    max_eval_samples: int | None = None,
    per_device_eval_batch_size: int = 32,
    trust_remote_code: bool = False,
    metrics: Sequence[str] = (),
    seed: int = 42,
    cpu_threads: int | None = None,
    overwrite: bool = False,
    output_format: str = "text",
) -> None:
    """Scores the model with its own threshold, max_length and positive label. Call it on every process."""
    arguments = dict(locals())
    folder = Path(output_dir)
    check_output_dir(folder, overwrite=overwrite)
    reading = {"input_format": input_format, "document_start": document_start, "text_pair_column": text_pair_column}
    task = load_task(model, trust_remote_code=trust_remote_code).read_as(
        **reading, max_length=max_length, stride=stride
    )
    data = DataArguments(
        test_file=test_file,
        dataset_name=dataset_name,
        dataset_config_name=dataset_config_name,
        dataset_revision=dataset_revision,
        split_group_column=split_group_column,
        group_columns=list(group_columns),
        slice_columns=list(slice_columns),
        max_eval_samples=max_eval_samples,
    )
    # The rows before the weights: a bad row costs seconds here.
    columns = {"text": text_column, "label": label_column}
    columns |= {"tokens": tokens_column, "tags": tags_column, "spans": spans_column}
    columns |= {"sentence": sentence_column} if sentence_column else {}
    columns |= {"label_names": label_names} if label_names else {}
    columns |= {"label_separator": label_separator} if label_separator else {}
    columns |= {"label_columns": "\n".join(label_columns)} if label_columns else {}
    columns |= {"question": question_column, "context": context_column, "answers": answers_column}
    named = {"text_pair": text_pair_column, "source": source_column, "target": target_column, "prompt": prompt_column}
    named |= {"completion": completion_column, "messages": messages_column}
    columns |= {name: given for name, given in named.items() if given}
    rows, fingerprint = task.read_split(data, columns, labeled=True)
    terminal = terminal_beside(output_format)
    outputs = run_model(
        model,
        task,
        rows,
        batch_size=per_device_eval_batch_size,
        cpu_threads=cpu_threads,
        trust_remote_code=trust_remote_code,
    )
    if not outputs.main_process:
        return
    table = task.tabulate(outputs.outputs, outputs.encoded)
    make_folder(folder)
    # The table before the scores: whatever comes after, no prediction has to be made again.
    write_json(folder / "run.json", evaluation_facts(arguments, outputs, fingerprint))
    write_predictions(table, folder / "predictions" / "test.parquet")
    scores = score_table(table, metrics=metrics, seed=seed)
    write_metrics(folder, {"test": scores})
    terminal.block("Model", model_lines(outputs, fingerprint))
    show_scores(
        terminal, table, scores, notes=[*missing_reasons(scores, table.positive_name), f"the evaluation is in {folder}"]
    )
    cautions = text_cautions(table, scores)
    show_cautions(terminal, cautions)
    document = {"output_dir": str(folder), "rows": len(table), "metrics": {"test": metrics_to_json(dict(scores))}}
    print_document({**document, "cautions": cautions}, output_format)


def check_output_dir(folder: Path, *, overwrite: bool) -> None:
    """Refuses a folder in which something would be lost.

    Raises:
        InputError: it is not empty and --overwrite was not given, or it holds files of these names that others left.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--output_dir {folder}: is a file; name a folder")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not overwrite:
        raise InputError(
            f"--output_dir {folder}: is not empty; name a new folder, or give --overwrite to replace an evaluation"
        )
    taken = [name for name in LEFT if (folder / name).exists()]
    if taken and ((folder / RUN_MARKER).exists() or not _was_left_by_us(folder / "run.json")):
        raise InputError(
            f"--output_dir {folder}: its {taken[0]} was not left by llmtune evaluate, so --overwrite does not replace "
            "it; name another folder"
        )


def _was_left_by_us(run_json: Path) -> bool:
    if not run_json.exists():
        return False
    try:
        content = json.loads(run_json.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return isinstance(content, dict) and content.get("command") == COMMAND


def evaluation_facts(arguments: dict[str, Any], outputs: InferenceResult, fingerprint: Fingerprint) -> dict[str, Any]:
    """The content of run.json."""
    facts = {
        "command": COMMAND,
        "seed": arguments["seed"],
        "model": outputs.facts,
        "data": {"test": asdict(fingerprint)},
        "truncated": {"test": outputs.truncation},
        "evaluation_seconds": round(outputs.seconds, 3),
        "processes": outputs.processes,
    }
    return run_content({COMMAND: arguments}, facts)


def model_lines(outputs: InferenceResult, fingerprint: Fingerprint) -> list[str]:
    """The block above the scores."""
    facts = outputs.facts
    processes = "" if outputs.processes == 1 else f" on {outputs.processes} processes"
    return [
        f"{facts['name']} ({facts['model_type']}, {facts['parameters']:,} parameters)",
        f"{row_count(fingerprint.rows)} of {fingerprint.source} (sha256 {fingerprint.sha256[:12]})",
        f"predicted in {outputs.seconds:.3g} s{processes}",
        outputs.truncation,
    ]
