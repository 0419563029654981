"""The end of a run outside its folder: the loggers of --report_to, and the Hub of --push_to_hub."""

from html import escape
from pathlib import Path
from typing import Any

from llmtune.hub.push import push_run
from llmtune.report.judged_table import JudgedTable
from llmtune.runs.redact import public
from llmtune.training.tensorboard import calibration_figure, confusion_figure, curve_figure, writer_in
from llmtune.training.trainer import FineTuningTrainer


def log_final(trainer: FineTuningTrainer, report: JudgedTable, *, no_examples: bool) -> None:
    """Sends the judged split's metrics through the Trainer's own log. Call it on the first process, after training."""
    if not trainer.args.report_to:
        return
    values = {name: score.value for name, score in report.scores.items() if score.value is not None}
    split = report.test.split
    trainer.log({f"{split}_{name}": float(value) for name, value in values.items()})
    # The writer that training closed was opened again by this log.
    writer = writer_in(trainer.callback_handler.callbacks)
    if writer is None:
        return
    step = trainer.state.global_step
    groups = (report.arguments(group) for group in ("data", "task", "model", "training"))
    arguments = {
        key: public(value) for group in groups for key, value in group.items() if isinstance(value, (str, int, float))
    }
    headlines = {f"hparam/{split}_{name}": float(values[name]) for name in report.headlines if name in values}
    writer.add_hparams(arguments, headlines, run_name=".", global_step=step)
    if report.verdict is not None:
        writer.add_text("verdict", escape(public(report.verdict.sentence)), step)
    show_final(writer, report, step)
    for table in [] if no_examples else report.examples:
        lines = [" | ".join(table.columns), " | ".join("---" for _ in table.columns)]
        lines += [" | ".join(escape(cell).replace("|", "\\|").replace("\n", " ") for cell in row) for row in table.rows]
        writer.add_text(f"examples/{table.title}", "\n".join(lines), step)
    writer.close()


def show_final(writer: Any, report: JudgedTable, step: int) -> None:
    """The judged split's confusion matrix and curves as figures, as the page shows them."""
    test, split = report.test, report.test.split
    matrix, slider, bins = report.matrix, report.slider, report.calibration
    if matrix is not None and matrix.is_small:
        figure = confusion_figure(matrix.counts, matrix.columns, rows=matrix.rows)
        writer.add_figure(f"{split}/confusion_matrix", figure, step)
    for name, together in report.cooccurrences:
        figure = confusion_figure(together.counts, together.columns)
        figure.axes[0].set(xlabel="label", ylabel="label", title=name)
        writer.add_figure(f"{split}/{name.lower().replace(' ', '_')}", figure, step)
    if slider is not None:
        lines = {test.label_names[test.positive_id]: slider.curve}
        writer.add_figure(f"{split}/precision_recall", curve_figure(lines, "recall", "precision"), step)
    if bins:
        writer.add_figure(f"{split}/calibration", calibration_figure(bins), step)


def push_if_asked(trainer: FineTuningTrainer) -> str | None:
    """The address that --push_to_hub published the run at. Call it when the whole folder is written."""
    args = trainer.args
    if not args.push_to_hub:
        return None
    folder = Path(str(args.output_dir))
    public_repository = args.hub_private_repo is False
    url, _ = push_run(folder, args.hub_model_id or folder.name, public=public_repository, token=args.hub_token)
    return url
