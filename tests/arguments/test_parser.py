"""The command line of a recipe: what wins, what stops the run, and what --help says."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtune.arguments import RUN_MARKER, DataArguments
from llmtune.arguments.config_file import config_text
from llmtune.arguments.parser import RARELY_USED, RENAMED, parse_arguments
from llmtune.arguments.yaml_values import read_yaml_mapping
from llmtune.errors import InputError
from llmtune.tasks.text_classification.arguments import TextClassificationArguments

DATA_AND_MODEL = ["--train_file", "messages.csv", "--model_type", "bert"]


@pytest.fixture(autouse=True)
def demo(tmp_path, monkeypatch) -> Path:
    """A demo beside an empty working directory."""
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "demo.yaml").write_text("train_file: train.csv\nmodel_type: llama\nlearning_rate: 3e-4\nmax_length: 32\n")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return folder / "demo.yaml"


def parse(*argv: str, **options: Any) -> Any:
    demo = Path.cwd().parent / "demo" / "demo.yaml"
    return parse_arguments("spam", TextClassificationArguments, demo=demo, argv=argv, **options)


def refused(*argv: str, **options: Any) -> str:
    with pytest.raises(InputError) as stopped:
        parse(*argv, **options)
    return str(stopped.value)


def yaml_file(text: str) -> str:
    Path("values.yaml").write_text(text)
    return "values.yaml"


def test_yaml_gives_defaults_and_the_command_line_wins():
    config = yaml_file("train_file: a.csv\nmodel_type: bert\nlearning_rate: 2e-5\nlora_r: 4\nseed: 7\nuse_peft: true\n")

    data, _, model, training = parse("--config", config, "--seed", "8", "--train_file", "b.csv")

    assert (data.train_file, model.model_type, model.lora_r, model.use_peft) == ("b.csv", "bert", 4, True)
    assert training.learning_rate == 2e-5  # YAML 1.1 reads 2e-5 as text
    assert training.seed == 8


def test_the_defaults_of_a_recipe_stand_below_both():
    config = yaml_file("max_length: 50\n")

    _, task, _, training = parse(
        *DATA_AND_MODEL, "--config", config, recipe_defaults={"max_length": 10, "learning_rate": 1e-3, "seed": 5}
    )
    _, _, _, typed = parse(*DATA_AND_MODEL, "--seed", "6", recipe_defaults={"seed": 5})

    assert (task.max_length, training.learning_rate, training.seed, typed.seed) == (50, 1e-3, 5, 6)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--load_best_model_at_end", "False"], False),
        (["--load_best_model_at_end=false"], False),
        (["--no_load_best_model_at_end"], False),
        (["--load-best-model-at-end"], True),
        ([], True),
    ],
)
def test_switches_may_be_written_in_every_way(flags, expected):
    assert parse(*DATA_AND_MODEL, *flags)[3].load_best_model_at_end is expected


def test_lists_are_words_on_the_command_line_and_lists_in_yaml():
    assert parse(*DATA_AND_MODEL, "--group_columns", "age", "place")[0].group_columns == ["age", "place"]
    assert parse(*DATA_AND_MODEL, "--config", yaml_file("metrics: [f_beta, mcc]\n"))[1].metrics == ["f_beta", "mcc"]
    assert parse(*DATA_AND_MODEL, "--config", yaml_file("metrics: mcc\n"))[1].metrics == ["mcc"]


def test_null_in_yaml_is_a_value_where_none_is_one():
    config = yaml_file(
        "save_total_limit: null\nlr_scheduler_type: cosine_with_restarts\nlr_scheduler_kwargs: {num_cycles: 2}\n"
    )

    training = parse(*DATA_AND_MODEL, "--config", config)[3]

    assert (training.save_total_limit, training.lr_scheduler_kwargs) == (None, {"num_cycles": 2})


@pytest.mark.parametrize("name", RENAMED)
def test_an_old_name_is_answered_with_its_successor(name):
    on_the_line = refused(*DATA_AND_MODEL, f"--{name.replace('_', '-')}", "1")
    in_yaml = refused(*DATA_AND_MODEL, "--config", yaml_file(f"{name}: 1\n"))

    for message in (on_the_line, in_yaml):
        assert message.endswith(f"is a name of transformers 4 or of another tool; write {RENAMED[name]}")


@pytest.mark.parametrize("name", RENAMED)
def test_the_successor_of_an_old_name_is_a_flag(name):
    words = RENAMED[name].split()
    flag = next((word.strip(",;") for word in words if word.startswith("--")), None)

    if flag is not None:
        field = flag.removeprefix("--")
        assert any(hasattr(group, field) for group in parse(*DATA_AND_MODEL)), flag


AMBIGUOUS = ["no", "yes", "on", "off", "010", "1:30", "1e5", "1_000", "0x10", "2024-01-01", "true", ".inf", "1.0", "y"]


@pytest.mark.parametrize("text", AMBIGUOUS)
@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_a_value_of_text_is_what_was_typed(text, quote):
    typed = f"{quote}{text}{quote}"
    config = yaml_file(f"positive_label: {typed}\nrun_name: {typed}\ngroup_columns: [{typed}, b]\nmetrics: {typed}\n")

    data, task, _, training = parse(*DATA_AND_MODEL, "--config", config)

    assert (task.positive_label, training.run_name) == (text, text)
    assert (data.group_columns, task.metrics) == ([text, "b"], [text])


@given(text=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1))
@settings(max_examples=200, deadline=None)
def test_any_text_that_yaml_writes_is_read_back(text):
    assert read_yaml_mapping(yaml.safe_dump({"key": text, "list": [text]}, allow_unicode=True), "") == {
        "key": text,
        "list": [text],
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seed: 010\n", ("seed", 10)),  # as on the command line; 8 to YAML 1.1
        ("learning_rate: 1e-5\n", ("learning_rate", 1e-5)),
        ("num_train_epochs: 1e1\n", ("num_train_epochs", 10.0)),
        ("overwrite: yes\n", ("overwrite", True)),
        ("overwrite: off\n", ("overwrite", False)),
        ("eval_strategy: no\n", ("eval_strategy", "no")),
        ("run_name: ~\n", ("run_name", None)),
        ("run_name: 'null'\n", ("run_name", "null")),
        ("run_name: 'None '\n", ("run_name", "None ")),
        ("run_name: |\n  no\n", ("run_name", "no\n")),
        ("activation_checkpointing_kwargs: {a: 1e-5, b: 'no', c: true, d: [1, x], e: null}\n",)
        + (("activation_checkpointing_kwargs", {"a": 1e-5, "b": "no", "c": True, "d": [1, "x"], "e": None}),),
    ],
)
def test_a_value_is_what_the_type_of_its_flag_says(text, expected):
    name, value = expected

    assert getattr(parse(*DATA_AND_MODEL, "--config", yaml_file(text))[3], name) == value


def test_keys_may_come_from_an_anchor():
    config = "activation_checkpointing_kwargs: &more {a: 1}\nfsdp_config: *more\n"

    assert parse(*DATA_AND_MODEL, "--config", yaml_file(config))[3].activation_checkpointing_kwargs == {"a": 1}


@pytest.mark.parametrize("flag", ["--bf16", "--bf16=true"])
def test_bf16_is_a_switch_and_false_is_heard(flag, monkeypatch):
    monkeypatch.setattr("llmtune.arguments.training.does_bf16_well", lambda on_cpu: True)

    assert parse(*DATA_AND_MODEL, flag, "--use_cpu")[3].precision == "bf16"
    assert parse(*DATA_AND_MODEL, "--use_cpu")[3].precision == "bf16"
    for config in ("bf16: false\n", "bf16: no\nfp16: false\n"):
        assert parse(*DATA_AND_MODEL, "--use_cpu", "--config", yaml_file(config))[3].precision == "fp32"
    assert parse(*DATA_AND_MODEL, "--use_cpu", "--bf16", "False")[3].precision == "fp32"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rte: 1\n", "values.yaml: unknown key 'learning_rte'; did you mean learning_rate?"),
        ("learning_rate: fast\n", "values.yaml: learning_rate: 'fast' does not fit"),
        ("learning_rate: [1, 2]\n", "values.yaml: learning_rate: found the list [1, 2], expected one value"),
        ("lr_scheduler_type: wavy\n", "values.yaml: lr_scheduler_type: 'wavy' is not one of linear, cosine"),
        ("use_peft: maybe\n", "values.yaml: use_peft: 'maybe' does not fit"),
        ("- a\n- b\n", "values.yaml: expected `key: value` lines, found list"),
        ("seed: 1\nmax_length: 9\nseed: 2\n", "values.yaml: seed stands on line 1 and on line 3; keep one of them"),
        ("a: [\n", "values.yaml: not readable as YAML"),
        ("[a, b]: 1\n", "values.yaml: line 1: expected a key, found list"),
        ("learning_rate:\n", "values.yaml: learning_rate: found no value, expected one; leave the key out"),
        ("group_columns: null\n", "values.yaml: group_columns: found no value, expected one"),
        ("text_column: {a: b}\n", "values.yaml: text_column: found {'a': 'b'}, expected a value without keys"),
        ("config: other.yaml\n", "values.yaml: unknown key 'config'"),
        ("seed: 1:30\n", "values.yaml: seed: '1:30' does not fit"),
        ("seed: 1e5\n", "values.yaml: seed: '1e5' does not fit"),
        ("seed: 2024-01-01\n", "values.yaml: seed: '2024-01-01' does not fit"),
        (
            "text_column: null\n",
            "values.yaml: text_column: found no value, expected one; leave the key out for its def",
        ),
        ("positive_label: None\n", "values.yaml: positive_label: found the text None; leave the key out for no value"),
        ("metrics: [mcc, ~]\n", "values.yaml: metrics: item 2 of the list is empty or null; quote it for the text"),
        ("seed: !!binary aGk=\n", "values.yaml: seed: found the tag tag:yaml.org,2002:binary, expected a plain value"),
        (
            "lr_scheduler_kwargs: {a: no}\n",
            "values.yaml: lr_scheduler_kwargs: a: no is text to some readers and true or false to YAML; quote it for",
        ),
        (
            "lr_scheduler_kwargs: {a: 010}\n",
            "values.yaml: lr_scheduler_kwargs: a: 010 is text to some readers and a number to YAML; quote it for",
        ),
        (
            "lr_scheduler_kwargs: {a: 2024-01-01}\n",
            "values.yaml: lr_scheduler_kwargs: a: 2024-01-01 is text to some readers and a date to YAML; quote it",
        ),
    ],
)
def test_a_bad_yaml_value_stops_the_run(text, message):
    assert refused(*DATA_AND_MODEL, "--config", yaml_file(text)).startswith(message)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--learning_rte", "1"], "command line: unknown flag '--learning_rte'; did you mean learning_rate?"),
        (["--qqqq"], "command line: unknown flag '--qqqq'; --help_all lists the keys"),
        (["stray"], "command line: unknown key 'stray'"),
        (["--learn", "1"], "command line: unknown flag '--learn'"),  # no abbreviations
        (["--learning_rate", "x"], "invalid float value: 'x'; --help lists the flags"),
        (["--config", "nowhere.yaml"], "--config nowhere.yaml: no such file"),
        (["--config", "."], "--config .: cannot be read: Is a directory; give a YAML file"),
        (["--config"], "command line: argument --config: expected one argument; give a YAML file"),
        (["--precision", "tf32"], "--precision 'tf32' is not one of auto, fp32, bf16, fp16"),
        (["--precision", "fp16", "--use_cpu"], "half precision training needs a GPU"),
        (["--eval_strategy", "sometimes"], "sometimes is not a valid IntervalStrategy, please select one of"),
        (["--eval_strategy", "epoch", "--save_strategy", "steps"], "requires the save and eval strategy to match"),
        (["--train_sampling_strategy", "magic"], "'magic' is not one of batch_rebalance, random"),
        (["--per_device_train_batch_size", "0"], "--per_device_train_batch_size 0: expected 1 or more"),
        (["--cpu_threads", "-1"], "--cpu_threads -1: expected 1 or more"),
        (["--early_stopping_patience", "0"], "--early_stopping_patience 0: expected 1 or more"),
        (["--early_stopping_patience", "1", "--eval_strategy", "no"], "needs evaluations and checkpoints"),
        (["--dataloader_drop_last", "True"], "--dataloader_drop_last: rows would be missing"),
        (["--prediction_loss_only"], "--prediction_loss_only: evaluation would have no predictions to score; leave it"),
        (["--eval_do_concat_batches", "False"], "--eval_do_concat_batches False: predictions could not be put"),
        (["--bf16_full_eval"], "--bf16_full_eval: the weights would be rounded, and left so; leave it out"),
        (["--fp16_full_eval"], "--fp16_full_eval: the weights would be rounded, and left so; leave it out"),
        (["--seed", "-1"], "--seed -1: expected 0 to 4294967295"),
        (["--learning_rate", "nan"], "--learning_rate nan: expected 0 or more"),
        (["--report_to", "no_such_board"], "--report_to no_such_board: unknown or not installed; installed are"),
        (["--resume_from_checkpoint", "nowhere"], "--resume_from_checkpoint nowhere: no such folder"),
        (["--lora_alpha", "8"], "--lora_alpha without --use_peft: every weight would be trained; add --use_peft"),
        (["--model_name_or_path", "x"], "--model_type bert exclude each other: the first loads a checkpoint"),
    ],
)
def test_a_bad_flag_stops_the_run(flags, message):
    assert message in refused(*DATA_AND_MODEL, *flags)


def test_without_data_and_model_the_demo_is_taken_and_what_was_typed_stays_above_it(demo):
    data, task, model, training = parse("--max_length", "16", "--config", yaml_file("learning_rate: 1e-2\n"))

    assert data.train_file == str(demo.parent / "train.csv")
    assert model.model_type == "llama"
    assert (task.max_length, training.learning_rate) == (16, 1e-2)


def test_data_without_a_model_and_a_model_without_data_are_refused():
    assert refused("--train_file", "a.csv").startswith("data was named but no model: add --model_name_or_path")
    assert refused("--dataset_name", "imdb").startswith("data was named but no model")
    assert refused("--test_file", "a.csv").startswith("data was named but no model")
    assert refused("--model_type", "bert").startswith("a model was named but no data: add --train_file")
    assert refused("--config", yaml_file("model_name_or_path: x\n")).startswith("a model was named but no data")


def test_the_output_folder_is_the_next_free_number():
    Path("runs/spam-1").mkdir(parents=True)

    assert parse(*DATA_AND_MODEL)[3].output_dir == "runs/spam-2"
    assert not Path("runs/spam-2").exists(), "nothing is made before the input is known good"


def test_a_folder_with_something_in_it_is_replaced_only_if_it_is_a_run_and_overwrite_is_given():
    for name in ("run", "photos", "empty"):
        Path(name).mkdir()
    (Path("run") / RUN_MARKER).touch()
    Path("run/model.safetensors").touch()
    Path("photos/cat.jpg").touch()

    assert refused(*DATA_AND_MODEL, "--output_dir", "run") == (
        "--output_dir run: holds 2 entries already; name a new folder, or give --overwrite to replace that run"
    )
    assert "--overwrite replaces only a run" in refused(*DATA_AND_MODEL, "--output_dir", "photos", "--overwrite")
    training = parse(*DATA_AND_MODEL, "--output_dir", "run", "--overwrite")[3]
    assert Path("run/model.safetensors").exists(), "kept until the input is known good"
    training.prepare_output_dir()
    assert [path.name for path in Path("run").iterdir()] == [RUN_MARKER]
    parse(*DATA_AND_MODEL, "--output_dir", "empty")[3].prepare_output_dir()
    assert Path("photos/cat.jpg").exists()
    assert (Path("empty") / RUN_MARKER).exists()


def test_what_is_read_is_not_overwritten():
    Path("run").mkdir()
    (Path("run") / RUN_MARKER).touch()
    Path("run/train.csv").touch()
    end = "lies in --output_dir run, which --overwrite empties; name another --output_dir"

    into_run = ["--output_dir", "run", "--overwrite"]
    data = refused("--train_file", "run/train.csv", "--model_type", "bert", *into_run)
    model = refused("--train_file", "a.csv", "--model_name_or_path", "run", *into_run)

    assert data == f"--train_file run/train.csv: {end}"
    assert model == f"--model_name_or_path run: {end}"


def test_resuming_keeps_the_run():
    Path("run/checkpoint-5").mkdir(parents=True)
    Path("run/checkpoint-5/trainer_state.json").write_text("{}")
    torch.save({}, "run/checkpoint-5/optimizer.pt")
    (Path("run") / RUN_MARKER).touch()

    resume = ["--resume_from_checkpoint", "run/checkpoint-5", "--output_dir", "run", "--overwrite"]
    parse(*DATA_AND_MODEL, *resume)[3].prepare_output_dir()

    assert Path("run/checkpoint-5").exists()


def test_a_run_is_not_continued_from_no_checkpoint_nor_into_another_folder():
    Path("run/checkpoint-5").mkdir(parents=True)
    resume = ["--resume_from_checkpoint", "run/checkpoint-5"]

    assert "run/checkpoint-5: has no trainer_state.json; name a checkpoint, e.g. runs/spam-1/checkpoint-500" in refused(
        *DATA_AND_MODEL, *resume
    )

    Path("run/checkpoint-5/trainer_state.json").write_text("{}")
    assert "run/checkpoint-5: holds no optimizer, so training would go on" in refused(*DATA_AND_MODEL, *resume)

    torch.save({}, "run/checkpoint-5/optimizer.pt")
    Path("photos").mkdir()
    Path("photos/cat.jpg").touch()
    message = refused(*DATA_AND_MODEL, *resume, "--output_dir", "photos")
    assert message == (
        "--output_dir photos: --resume_from_checkpoint continues only a run, and this folder has no .llmtune-run; "
        "name another"
    )


def test_a_file_is_no_output_folder():
    Path("notes.txt").touch()

    assert refused(*DATA_AND_MODEL, "--output_dir", "notes.txt") == "--output_dir notes.txt: is a file; name a folder"


def help_text(capsys, flag: str) -> str:
    with pytest.raises(SystemExit) as ended:
        parse(flag, description="What it does.\n\n    how to run it")
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_help_is_short_grouped_and_shows_our_flags_first(capsys):
    said = help_text(capsys, "--help")

    assert len(said.splitlines()) < 240
    assert "\n    how to run it\n" in said, "the example keeps its line"
    groups = [said.index(f"\n{name}:\n") for name in ("data", "task", "model", "training")]
    assert groups == sorted(groups)
    for field in DataArguments.__dataclass_fields__:
        assert (f"--{field}" in said) == (field not in RARELY_USED)
    assert said.index("--early_stopping_patience") < said.index("--learning_rate")
    assert "--fsdp" not in said
    assert max(len(line) for line in said.splitlines()) < 140


def test_help_all_has_every_field_of_transformers(capsys):
    import transformers

    said = help_text(capsys, "--help_all")

    for name, field in transformers.TrainingArguments.__dataclass_fields__.items():
        assert not field.init or f"--{name}" in said


def test_four_bit_weights_on_a_cpu_refuse_the_reload_that_changes_them():
    with pytest.raises(InputError, match="4-bit weights change when the best checkpoint is loaded over them"):
        parse("--train_file", "a.csv", "--model_name_or_path", "x", "--load_in_4bit", "--use_cpu")

    *_, training = parse(
        "--train_file", "a.csv", "--model_name_or_path", "x", "--load_in_4bit", "--use_cpu", "--eval_strategy", "no"
    )
    assert not training.load_best_model_at_end


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model_name_or_path", "x", "--freeze_layers", "-1"], "--freeze_layers -1: expected 0 or more"),
        (["--model_type", "bert", "--freeze_layers", "1"], "and --model_type begins at random; drop one"),
        (
            ["--model_name_or_path", "x", "--freeze_layers", "1", "--use_peft"],
            "under LoRA every layer of the checkpoint",
        ),
        (
            ["--model_name_or_path", "x", "--load_in_4bit", "--load_in_8bit"],
            "--load_in_4bit and --load_in_8bit are both",
        ),
        (["--model_name_or_path", "x", "--use_dora"], "--use_dora without --use_peft: every weight would be trained"),
        (["--model_type", "bert", "--early_stopping_threshold", "0.1"], "add --early_stopping_patience N, after how"),
        (
            ["--model_type", "bert", "--early_stopping_threshold", "-1"],
            "--early_stopping_threshold -1.0: expected 0 or",
        ),
    ],
)
def test_what_would_change_nothing_is_refused(flags, message):
    assert message in refused("--train_file", "a.csv", *flags)


def test_config_yaml_gives_the_same_arguments_again():
    Path("a.csv").touch()
    flags = [
        "--train_file",
        "a.csv",
        "--model_type",
        "bert",
        "--learning_rate",
        "2e-5",
        "--seed",
        "8",
        "--bf16",
        "False",
    ]
    flags += ["--class_weights", "balanced", "--lr_scheduler_type", "cosine", "--group_columns", "sex", "age"]
    flags += ["--eval_strategy", "steps", "--eval_steps", "50", "--warmup_steps", "0.1"]
    first = parse(*flags)
    text = config_text(first, precision="bf16", processes=2)
    path = yaml_file(text)
    again = parse("--config", path)

    assert again[:3] == (replace(first.data, train_file=str(Path("a.csv").resolve())), *first[1:3])
    for name, value in first.training.to_dict().items():
        if name not in ("output_dir", "run_name", "hub_token", "logging_dir"):
            assert getattr(again.training, name) == getattr(first.training, name), (name, value)
    assert "There it computed in bf16, with 2 processes." in text


def test_a_token_is_no_argument():
    told = (
        r"--hub_token: a token here is seen by whoever lists processes or reads the file; leave it out, and log in with"
    )
    for flags in (("--hub_token", "hf_secret"), ("--config", yaml_file("hub_token: hf_secret"))):
        with pytest.raises(InputError, match=told) as raised:
            parse(*flags)
        assert "hf_secret" not in str(raised.value)


def test_config_yaml_of_the_demo_trains_the_demo_from_anywhere(tmp_path):
    text = config_text(parse(), precision="fp32", processes=1)

    assert yaml.safe_load(text)["model_type"] == "llama"
    assert yaml.safe_load(text)["max_length"] == 32
    assert yaml.safe_load(text)["train_file"] == str(tmp_path / "demo" / "train.csv")
