"""README.md: the model card, with a `model-index` that the Hub reads. It describes the weights beside it.

The stock Trainer's card reports the last evaluation, whichever checkpoint was kept (transformers#12741), and nothing
for local files; this one is made from the report's own numbers. The front matter is built by hand:
`eval_results_to_model_index` merges results that differ only in their args.
"""

import re
from pathlib import Path
from typing import Any

from llmtune.diagnosis.verdict import Verdict
from llmtune.hub.card_text import BEGIN, END, HERE, HERE_WITH_BASE, MEASURED_HERE, join_card, with_kept
from llmtune.metrics import Score
from llmtune.metrics.core.headlines import about_positive
from llmtune.metrics.core.matrix import Matrix
from llmtune.report.card_code_forecasting import forecasting_code
from llmtune.report.card_code_generation import auto_of, writing_code
from llmtune.report.card_code_language_modeling import likelihood_code
from llmtune.report.card_code_question_answering import answering_code
from llmtune.report.card_code_text_regression import scoring_code
from llmtune.report.card_code_texts import given_texts, logits_code, sets_code, windows_note
from llmtune.report.judged_table import JudgedTable
from llmtune.runs.contracts import ModelConfig
from llmtune.runs.folder import write_text
from llmtune.runs.redact import hub_id, public
from llmtune.runs.reproduce import reproduce_command
from llmtune.text.contracts import read_contract
from llmtune.text.likeliest_tags import TYPES
from llmtune.text.shorten import row_count
from llmtune.text.spans import WORDS

MOST_CHECKS = 4
OTHERS = {"max_source_length", "target_center"}  # settings of tasks whose kind leaves open what loads a model
# The Hub's name of a task that its kind of table leaves open.
PIPELINES = {
    "translation": "translation",
    "summarization": "summarization",
    "forecasting": "time-series-forecasting",
    "text-regression": "text-classification",  # the Hub has one name for all that reads a text and answers it
}
OWN_MODULE = re.compile(r"llmtune(\.\w+)+")  # a line of code is made of it, and run.json may be a stranger's
# What a reader asks of a training run first; in the order of the card.
HYPERPARAMETERS = (
    *("learning_rate", "lr_scheduler_type", "warmup_steps", "num_train_epochs", "per_device_train_batch_size"),
    *("gradient_accumulation_steps", "optim", "weight_decay", "label_smoothing_factor", "max_length", "loss"),
    *("class_weights", "use_peft", "use_dora", "use_rslora", "freeze_layers", "load_in_4bit", "load_in_8bit"),
    *("precision", "seed"),
)
# Words joined by a space, as the run's tokenizer read them; their tags as `likeliest_iob2` finds them.
ENTITIES = """\
words = regex.findall(r"(?i){pattern}", "Ada Lovelace lived in London.")
text = " ".join(words)
inputs = tokenizer(text, truncation=True, max_length={max_length}, return_offsets_mapping=True, return_tensors="pt", \
return_token_type_ids=False, split_special_tokens=True)
offsets = inputs.pop("offset_mapping")[0].tolist()
with torch.no_grad():
    scores = model(**inputs).logits[0].float().log_softmax(-1).tolist()
places = {{name: place for place, name in model.config.id2label.items()}}
types = dict.fromkeys(name[2:] for name in places if name != "O")
letters = [[name for name in (f"B-{{kind}}", f"I-{{kind}}") if name in places] for kind in types]
seen, best = -1, {{"O": (0.0, [])}}  # of the sequences that end with a tag the likeliest: its log probability and tags
for (begin, end), row in zip(offsets, scores):
    word = text[: max(0, end - 1)].count(" ")
    if not text[begin:end].strip() or word == seen:
        continue  # the first token of a word carries its tag
    if word > seen + 1:  # a word without token is outside
        best = {{"O": max(best.values(), key=lambda way: way[0])}}
    seen, before, best = word, best, {{}}
    likeliest = sorted(letters, key=lambda tags: -max(row[places[tag]] for tag in tags))[:{types}]
    for tag in ["O", *sum(likeliest, [])]:
        ways = [way for last, way in before.items() if tag[0] != "I" or last[2:] == tag[2:]]
        if ways:  # I-X only after B-X or I-X
            sure, path = max(ways, key=lambda way: way[0])
            best[tag] = (sure + row[places[tag]], [*path, (word, tag)])
entities = []
for word, tag in max(best.values(), key=lambda way: way[0])[1]:
    if tag[0] == "I":
        entities[-1][1].append(words[word])
    elif tag[0] == "B":
        entities.append((tag[2:], [words[word]]))
for kind, found in entities:
    print(kind, " ".join(found))
"""


def write_card(folder: Path, report: JudgedTable) -> Path:
    """Writes README.md, beside weights with the code that loads them; hand-written sections of an earlier one stay."""
    path, config = folder / "README.md", folder / "config.json"
    earlier = path.read_text(encoding="utf-8") if path.exists() else ""
    remedy = f"restore {config}: the card's code follows it"
    settings = read_contract(config, ModelConfig, remedy).get("llmtune", {}) if config.exists() else None
    write_text(path, with_kept(render_card(report, settings), earlier))
    return path


def render_card(report: JudgedTable, settings: dict[str, Any] | None = None) -> str:
    """The card as text.

    Args:
        report: of the test split.
        settings: `llmtune` of the model's config: max_length, threshold, positive label; None where no weights lie
            beside the card.
    """
    test = report.test
    parts = [f"# {_line(report.name)}", BEGIN]
    if report.verdict is not None:
        parts += [f"**{_line(report.verdict.sentence)}**", _checks(report.verdict)]
    parts += [
        f"{_intro(report)} Numbers are of the {row_count(len(test))} of the split `{test.split}`"
        f"{'' if settings is None else MEASURED_HERE}; brackets hold 95 % intervals.",
        _headlines(report),
    ]
    if report.matrix is not None:
        parts += ["## Confusion matrix", _matrix(report.matrix)]
    if report.parts.rows:
        parts += [f"## {test.kind.part_heading}", _parts(report)]
    if report.label_matrices:
        parts += ["## Labels: found, missed, spurious", _label_matrices(report)]
    if test.kind.multi_label:
        parts += ["## Thresholds", _thresholds(report)]
    if test.has_positive:
        reason = (report.run.get("threshold") or {}).get("reason")
        positive = test.label_names[test.positive_id]
        parts += [
            "## Threshold",
            f"A text is classified as {_code(positive)} from a probability of {test.threshold:g} on"
            + (f": {_line(reason)}." if reason else "."),
        ]
    if report.run and settings is not None and "lookback" in settings:
        parts += ["## How to use", f"```python\n{code_of(report, settings)}```"]
        parts += ["`llmtune predict` predicts what comes after the last row of a file, with intervals."]
    elif report.run and settings is not None and (test.kind.auto_model or OTHERS.intersection(settings)):
        parts += ["## How to use", f"```python\n{code_of(report, settings)}```"]
        limit = f"A text is cut at {settings.get('max_length', settings.get('max_source_length'))} tokens here; "
        cut = (limit if test.kind.truncates else "") + test.kind.long_inputs
        parts += [windows_note(settings) if "pooling" in settings else cut]
    if training := _training(report):
        parts += ["## Training", training]
    body = "\n\n".join(part for part in [*parts, END] if part)
    return join_card(front_matter(report, has_weights=settings is not None), f"\n{body}\n")


def _intro(report: JudgedTable) -> str:
    model = report.run.get("model", {})
    base = hub_id(report.arguments("model").get("model_name_or_path"))
    what = report.test.kind.display_name
    if base:
        how = "LoRA adapter on" if report.adapter else "fine-tuned from"
        return f"{what}, {how} [{base}](https://huggingface.co/{base})."
    return f"{what}; {_line(public(str(model.get('name', 'a model trained elsewhere'))))}."


def front_matter(report: JudgedTable, *, has_weights: bool) -> dict[str, Any]:
    """The YAML head: names that the Hub knows, and the results; the library that loads weights where they lie here."""
    arguments = report.arguments("data")
    dataset = hub_id(arguments.get("dataset_name"))
    base = hub_id(report.arguments("model").get("model_name_or_path"))
    library = "peft" if report.adapter else "llmtune" if report.run.get("model", {}).get("module") else "transformers"
    front: dict[str, Any] = {"library_name": library} if has_weights else {}
    if base:
        front["base_model"] = base
    if dataset:
        front["datasets"] = [dataset]
    if report.test.kind.pipeline_tag or report.test.settings.get("task"):
        front["pipeline_tag"] = pipeline_of(report)
    front["tags"] = ["llmtune"]
    front["model-index"] = [{"name": report.name, "results": results(report, dataset)}]
    return front


def pipeline_of(report: JudgedTable) -> str:
    """The Hub's name of the task: of texts the one that the run was made for."""
    task = str(report.test.settings.get("task"))
    return PIPELINES.get(task, report.test.kind.pipeline_tag or report.test.kind.name)


def results(report: JudgedTable, dataset: str | None) -> list[dict[str, Any]]:
    """The judged split's headline metrics as plain Python numbers, for yaml.safe_load.

    Validation is not among them: it chose the checkpoint and the threshold.
    """
    split = report.test.split
    rows = report.run.get("data", {}).get(split, {})
    source = dataset or Path(public(str(rows.get("source", report.name)))).name
    about: dict[str, Any] = {"type": dataset or "local", "name": source, "split": split}
    if dataset:
        about["config"] = report.arguments("data").get("dataset_config_name") or "default"
        revision = report.arguments("data").get("dataset_revision")
        about |= {"revision": revision} if revision else {}
    if "sha256" in rows:
        about["args"] = {"sha256": rows["sha256"]}
    metrics = [index_metric(name, report.scores[name], split) for name in report.headlines]
    task = {"type": pipeline_of(report), "name": report.test.kind.display_name}
    return [{"task": task, "dataset": about, "metrics": [metric for metric in metrics if metric]}]


def index_metric(name: str, score: Score, split: str) -> dict[str, Any] | None:
    """A metric as `model-index` holds it, with its interval; None where it is undefined."""
    if score.value is None:
        return None
    args: dict[str, Any] = {"split": split, "n": int(score.n), "signature": score.signature}
    if score.low is not None and score.high is not None:
        args["ci95"] = [float(score.low), float(score.high)]
    return {"type": name, "value": float(score.value), "name": name, "args": args}


def code_of(report: JudgedTable, settings: dict[str, Any]) -> str:
    """Lines that load the weights beside the card and answer as the report's numbers were made."""
    if "max_source_length" in settings:
        return _loading(report, auto_of(settings), uses_words=False, writes=True) + writing_code(settings)
    if "lookback" in settings:
        return _loading(report, "AutoModelForTimeSeriesPrediction", uses_words=False, reads_text=False) + (
            forecasting_code(settings)
        )
    if "target_center" in settings:
        return _loading(report, "AutoModelForSequenceClassification", uses_words=False) + scoring_code(settings)
    auto, length = report.test.kind.auto_model, settings["max_length"]
    if report.test.kind.token_metrics:
        return _loading(report, auto, uses_words=False, writes=True) + likelihood_code(settings)
    code = _loading(report, auto, uses_words=report.test.kind.tagged)
    if report.test.kind.tagged:
        pattern = WORDS[settings.get("word_format", settings["input_format"])].pattern
        return code + ENTITIES.format(pattern=pattern, max_length=length, types=TYPES)
    if report.test.kind.unanswerable:
        return code + answering_code(settings, str(report.run.get("model", {}).get("model_type")))
    names, beside = report.test.label_names, "max(row)"
    if report.test.kind.multi_label:
        return code + sets_code(settings, report.test.thresholds.tolist())
    if settings.get("ordinal"):  # the median: the first class up to which half of the probability lies
        answer = "model.config.id2label[min(range(len(row)), key=lambda k: sum(row[: k + 1]) < 0.5)]"
        beside = "[round(p, 3) for p in row]"
    elif len(names) == 2:
        yes = report.test.positive_id
        answer = f"{names[yes]!r} if row[{yes}] >= {report.test.threshold!r} else {names[1 - yes]!r}"
    else:
        answer = "model.config.id2label[max(range(len(row)), key=row.__getitem__)]"
    divided = f".div({settings['temperature']!r})" if "temperature" in settings else ""
    return code + (
        f"{logits_code(settings)}probabilities = logits{divided}.softmax(-1).tolist()\n"
        f"for row, *shown in zip(probabilities, {given_texts(settings)}):\n    print({answer}, {beside}, *shown)\n"
    )


def _loading(report: JudgedTable, auto: str, *, uses_words: bool, writes: bool = False, reads_text: bool = True) -> str:
    """Imports, tokenizer and model; of a LoRA run the adapter on its base."""
    begin = ["import regex", "import torch"] if uses_words else ["import torch"]
    imports = [*begin, f"from transformers import {auto}{', AutoTokenizer' if reads_text else ''}"]
    module = str(report.run.get("model", {}).get("module"))
    if OWN_MODULE.fullmatch(module):
        imports.append(f"\nimport {module}  # makes this model known to transformers")
    named, lines = HERE, ["tokenizer = AutoTokenizer.from_pretrained(name)"] if reads_text else []
    if not report.adapter:
        lines.append(f"model = {auto}.from_pretrained(name).eval()")
        return "\n".join([*imports, "", named, *lines, ""])
    imports = [
        *begin,
        "from peft import PeftModel",
        f"from transformers import AutoConfig, {auto}, AutoTokenizer{', GenerationConfig' if writes else ''}",
    ]
    name = report.arguments("model").get("model_name_or_path")
    base = repr(name)
    if report.own_base:
        # Not subfolder=: transformers then looks for the adapter of `name` in that folder too.
        base = 'f"{name}/base_model"'
        named = HERE_WITH_BASE
    elif hub_id(name) is None:
        imports[len(begin)] = "from peft import PeftConfig, PeftModel"
        base = "PeftConfig.from_pretrained(name).base_model_name_or_path"
        lines.append("# The base lies in a folder of this adapter's maker; llmtune merge makes weights that need none.")
    lines.append("config = AutoConfig.from_pretrained(name)")
    for bits in (4, 8):
        if report.arguments("model").get(f"load_in_{bits}bit"):
            lines.append(
                f"del config.quantization_config  # trained on a base in {bits} bits; here it is loaded in full"
            )
    lines += [
        f"base = {auto}.from_pretrained({base}, config=config, ignore_mismatched_sizes=True)",
        "if len(tokenizer) > base.get_input_embeddings().num_embeddings:",
        "    base.resize_token_embeddings(len(tokenizer))",
        *(["base.generation_config = GenerationConfig.from_pretrained(name)"] if writes else []),
        "model = PeftModel.from_pretrained(base, name).eval()",
    ]
    return "\n".join([*imports, "", named, *lines, ""])


def _line(text: str) -> str:
    """Text as one line of Markdown that can neither format nor hold HTML."""
    escaped = re.sub(r"([\\`*_\[\]|])", r"\\\1", public(" ".join(text.split())))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _code(value: Any) -> str:
    """A value as Markdown's code, which it can neither end nor break."""
    return f"`{' '.join(public(str(value)).replace('`', chr(39)).split())}`"


def _checks(verdict: Verdict) -> str:
    """What decided, but for what the sentence above already says."""
    checks = [check for check in verdict.deciding[:MOST_CHECKS] if check.finding not in verdict.sentence]
    return "\n".join(f"- {check.check.replace('_', ' ')}: {_line(check.finding)}" for check in checks)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _headlines(report: JudgedTable) -> str:
    positive = report.test.positive_name
    rows = [[_line(about_positive(name, positive)), value, *beside] for name, value, beside in report.headline_rows]
    return _table(["metric", "value", *map(_line, report.baselines)], rows)


def _parts(report: JudgedTable) -> str:
    parts = report.parts
    table = _table(["name", *map(_line, parts.metrics)], [[_line(name), *cells] for name, cells in parts.rows])
    return f"{table}\n\n{parts.left_out} more are in metrics.json." if parts.left_out else table


def _label_matrices(report: JudgedTable) -> str:
    rows = [[_line(one.name), *(f"{count:,}" for count in one[1:])] for one in report.label_matrices]
    return _table(["label", "found", "missed", "spurious", "rightly absent"], rows)


def _thresholds(report: JudgedTable) -> str:
    reason = (report.run.get("threshold") or {}).get("reason")
    pairs = zip(report.test.label_names, report.test.thresholds, strict=True)
    each = ", ".join(f"{_line(name)} {threshold:.3g}" for name, threshold in pairs)
    return f"A label is predicted from this probability on: {each}." + (f" Why: {_line(reason)}." if reason else "")


def _matrix(matrix: Matrix) -> str:
    if not matrix.is_small:
        rows = [[_line(a), _line(b), f"{n:,}"] for a, b, n in matrix.largest()]
        return _table(["reference", "predicted as", "times"], rows)
    rows = [
        [f"**{_line(name)}**", *(f"{count} ({share:.1%})" for count, share in zip(counts, shares, strict=True))]
        for name, counts, shares in zip(matrix.rows, matrix.counts, matrix.shares(), strict=True)
    ]
    return _table(["reference ↓ predicted →", *map(_line, matrix.columns)], rows)


def _training(report: JudgedTable) -> str:
    run, training = public(report.run), report.run.get("training", {})
    lines = [
        f"- {split}: {row_count(rows['rows'])}, {_line(rows.get('made', 'as given'))}, sha256 "
        f"{_code(rows['sha256'][:16])}"
        for split, rows in run.get("data", {}).items()
    ]
    if training.keys() >= {"steps", "effective_batch", "train_seconds"}:
        weights = training.get("kept", {})
        chosen = "chosen on validation" if weights.get("chosen") else "the last"
        lines.append(
            f"- {training['steps']:,} optimizer steps of {training['effective_batch']} rows in "
            f"{training['train_seconds']:.0f} s; the weights of step {weights.get('step')}, {chosen}"
        )
    given = {**report.arguments("model"), **report.arguments("task"), **report.arguments("training")}
    told = [f"{name} {_code(given[name])}" for name in HYPERPARAMETERS if given.get(name) not in (None, False)]
    lines += [f"- {', '.join(told)}; all arguments are in `config.yaml` of the run"] if told else []
    lines += [f"- {_line(run['search'])}"] if "search" in run else []
    versions = ", ".join(f"{name} {value}" for name, value in run.get("versions", {}).items())
    lines += [f"- {_line(versions)}"] if versions else []
    if command := reproduce_command(report.run):
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", command)), default=0))
        lines.append(f"\nAgain, in a folder that holds these files:\n\n{fence}bash\n{command}\n{fence}")
    return "\n".join(lines)
