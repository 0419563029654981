"""Checkpoints of strangers: none of their code runs, whatever stands on stdin; the canary file stays absent."""

import io
import json
import runpy
import shutil
import sys
from pathlib import Path
from pickle import UnpicklingError

import pytest
import torch
import transformers
import yaml
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from llmtune import cli
from llmtune.arguments import DataArguments, ModelArguments
from llmtune.data.hub_datasets import load_named_dataset
from llmtune.errors import InputError
from llmtune.models.checkpoints import load_run
from llmtune.models.loading import load_model
from llmtune.models.lstm import LstmConfig, LstmForForecasting
from llmtune.models.remote_code import classes_run
from llmtune.runs.folder import write_json
from llmtune.tasks.text_classification.task import TextClassification
from tests.commands.conftest import lora_run, spam_file, spam_model  # noqa: F401 - fixtures
from tests.training.test_trainer import trainer

RECIPES = Path(__file__).parents[2] / "recipes"
TASK = TextClassification(("ham", "spam"), "spam", max_length=24)
REFUSED = r"comes with Python code of its own \(auto_map\), which was not run; read that code, then give"


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return open, (str(self.canary), "w")


def pickled(canary):
    """What torch.save leaves of weights, with a payload among them."""
    file = io.BytesIO()
    torch.save({"weight": torch.zeros(2), "payload": Payload(canary)}, file)
    return file.getvalue()


@pytest.fixture(autouse=True)
def yes(monkeypatch):
    """Whoever asks on the terminal is told yes."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 10))


@pytest.fixture
def canary(tmp_path):
    path = tmp_path / "canary"
    yield path
    assert not path.exists()


def edited(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def with_code(source, folder, canary, *, where="config.json", model_type=None):
    """A copy of a checkpoint with a Python file that its config, or that of its tokenizer, names."""
    shutil.copytree(source, folder)
    (folder / "evil.py").write_text(f"open({str(canary)!r}, 'w')")
    names = ("AutoConfig", "AutoModelForSequenceClassification", "AutoModelForCausalLM")
    auto_map = {name: "evil.Evil" for name in names}
    if where == "tokenizer_config.json":
        auto_map = {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}
        # Of a class that transformers lacks; where it has one, its own is taken and nothing asked.
        edited(folder / where, tokenizer_class="EvilTokenizer", auto_map=auto_map)
    else:
        edited(folder / where, auto_map=auto_map, **({"model_type": model_type} if model_type else {}))
    return folder


def commands(model, rows, out):
    return {
        "evaluate": ["evaluate", "--model", str(model), "--test_file", str(rows), "--output_dir", str(out)],
        "predict": ["predict", "--model", str(model), "--text", "see you"],
        "check": ["check", str(rows), "--model_name_or_path", str(model)],
        "merge": ["merge", str(model), "--output_dir", str(out)],
        "benchmark": [
            "benchmark",
            "--models",
            str(model),
            "--tasks",
            f"classification={rows}",
            "--output_dir",
            str(out),
        ],
    }


@pytest.mark.parametrize("command", ["evaluate", "predict", "merge", "benchmark"])
def test_no_command_runs_code_that_comes_with_a_model(command, spam_model, spam_file, canary, tmp_path):  # noqa: F811
    model = with_code(spam_model, tmp_path / "model", canary, model_type="evil")

    with pytest.raises(InputError, match=REFUSED):
        cli.run(commands(model, spam_file, tmp_path / "out")[command])
    assert not (tmp_path / "out" / "run.json").exists()


def recipe_on(recipe, model, folder):
    """Runs a recipe on the data of its demo, with another model."""
    demo = RECIPES / "demo" / recipe / "demo.yaml"
    values = yaml.safe_load(demo.read_text())
    values = {name: value for name, value in values.items() if name not in ("model_type", "config_overrides")}
    values |= {name: str(demo.parent / value) for name, value in values.items() if name.endswith("_file")}
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({**values, "model_name_or_path": str(model)}))
    main = runpy.run_path(str(RECIPES / f"{recipe}.py"))["main"]
    main(["--config", str(config), "--output_dir", str(folder / "run"), "--cpu_threads", "1"])


@pytest.mark.parametrize("recipe", sorted(path.stem for path in RECIPES.glob("*.py")))
def test_no_recipe_runs_code_that_comes_with_a_model(recipe, spam_model, canary, tmp_path):  # noqa: F811
    model = with_code(spam_model, tmp_path / "model", canary, model_type="evil")

    with pytest.raises(InputError, match=REFUSED):
        recipe_on(recipe, model, tmp_path)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("allowed", [False, True])
def test_nor_does_forecasting_unpickle_weights(allowed, canary, tmp_path):
    config = LstmConfig(hidden_size=4, num_features=3, lookback=7, horizon=1, architectures=["LstmForForecasting"])
    LstmForForecasting(config).save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    (tmp_path / "model" / "pytorch_model.bin").write_bytes(pickled(canary))
    demo = RECIPES / "demo" / "forecasting" / "demo.yaml"
    main = runpy.run_path(str(RECIPES / "forecasting.py"))["main"]
    values = yaml.safe_load(demo.read_text())
    flags = ["--train_file", str(demo.parent / "series.csv"), "--lookback", "7", "--time_column", values["time_column"]]
    flags += ["--series_column", "stall", "--target_column", "sales", "--input_columns", *values["input_columns"]]
    flags += ["--model_name_or_path", str(tmp_path / "model"), "--output_dir", str(tmp_path / "run")]
    refused = "its pickle holds more than tensors" if allowed else r"with safetensors weights \(pickled ones: --allow_p"
    with pytest.raises(InputError, match=refused):
        main(flags + ["--allow_pickle"] * allowed)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"])
def test_no_file_of_a_checkpoint_that_is_resumed_is_unpickled(name, canary, tmp_path):
    made = trainer(tmp_path, n=16, save_total_limit=None)
    made.train()
    checkpoint = tmp_path / "checkpoint-2"  # of 4 steps
    assert (checkpoint / name).exists() == (name != "training_args.bin")
    (checkpoint / name).write_bytes(pickled(canary))

    again = trainer(tmp_path, n=16, save_total_limit=None)
    if name == "training_args.bin":  # of other Trainers; nobody reads it
        again.train(resume_from_checkpoint=str(checkpoint))
    else:
        with pytest.raises((InputError, UnpicklingError)):
            again.train(resume_from_checkpoint=str(checkpoint))


@pytest.mark.parametrize("name", ["processor_config.json", "preprocessor_config.json", "generation_config.json"])
def test_no_other_config_of_a_checkpoint_brings_code(name, spam_model, canary, tmp_path):  # noqa: F811
    model = with_code(spam_model, tmp_path / "model", canary)
    auto_map = {f"Auto{part}": "evil.Evil" for part in ("Processor", "FeatureExtractor", "ImageProcessor")}
    (model / name).write_text(json.dumps({"auto_map": auto_map, "custom_generate": "evil/generate"}))

    load_run(model, AutoModelForSequenceClassification)


@pytest.mark.parametrize("trusted", [False, True])
def test_code_that_writes_runs_only_where_it_is_trusted_and_is_named(trusted, lora_run, tmp_path, capsys):  # noqa: F811
    tokenizer = transformers.AutoTokenizer.from_pretrained(lora_run)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        pad_token_id=tokenizer.pad_token_id,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    ran = tmp_path / "ran"
    (tmp_path / "model" / "custom_generate").mkdir()
    code = f"open({str(ran)!r}, 'w')\ndef generate(model, **options):\n    return None\n"
    (tmp_path / "model" / "custom_generate" / "generate.py").write_text(code)

    load_run(tmp_path / "model", AutoModelForCausalLM, trust_remote_code=trusted)

    assert ran.exists() == trusted
    named = f"{tmp_path / 'model'}: ran code that came with it (--trust_remote_code): generate of custom_generate\n"
    assert (named in capsys.readouterr().err) == trusted


def test_a_command_that_ran_code_says_so(spam_model, tmp_path, capsys):  # noqa: F811
    shutil.copytree(spam_model, tmp_path / "model")
    code = "from transformers import BertForSequenceClassification\nclass Own(BertForSequenceClassification): pass\n"
    (tmp_path / "model" / "own.py").write_text(code)
    edited(tmp_path / "model" / "config.json", auto_map={"AutoModelForSequenceClassification": "own.Own"})

    cli.run(["predict", "--model", str(tmp_path / "model"), "--text", "see you", "--trust_remote_code"])

    assert "model: ran code that came with it (--trust_remote_code): Own\n" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["attn_implementation", "_attn_implementation"])
def test_compiled_code_of_the_hub_for_the_attention_is_refused(place, spam_model, tmp_path):  # noqa: F811
    shutil.copytree(spam_model, tmp_path / "model")
    edited(tmp_path / "model" / "config.json", **{place: "somebody/kernel"})
    refused = "its config.json asks for the attention of 'somebody/kernel', compiled code of a Hub repository"

    with pytest.raises(InputError, match=refused):
        load_run(tmp_path / "model", AutoModelForSequenceClassification)
    with pytest.raises(InputError, match=f"--model_name_or_path .*{refused}"):
        load_model(ModelArguments(model_name_or_path=str(tmp_path / "model")), TASK, train_texts=list)
    own = ModelArguments(model_name_or_path=str(tmp_path / "model"), attn_implementation="eager")
    assert load_model(own, TASK, train_texts=list).model.config._attn_implementation == "eager"


def test_training_runs_no_code_that_comes_with_a_model(spam_model, canary, tmp_path):  # noqa: F811
    model = with_code(spam_model, tmp_path / "model", canary, model_type="evil")

    with pytest.raises(InputError, match=f"--model_name_or_path .*{REFUSED} --trust_remote_code"):
        load_model(ModelArguments(model_name_or_path=str(model)), TASK, train_texts=list)


def test_a_type_that_transformers_has_is_loaded_by_the_code_of_transformers(spam_model, canary, tmp_path):  # noqa: F811
    _, model = load_run(with_code(spam_model, tmp_path / "model", canary), AutoModelForSequenceClassification)

    assert type(model).__module__ == "transformers.models.bert.modeling_bert"


@pytest.mark.parametrize("trusted", [False, True])
def test_code_of_a_tokenizer_runs_only_where_it_is_trusted(trusted, spam_model, spam_file, tmp_path):  # noqa: F811
    ran = tmp_path / "ran"
    model = with_code(spam_model, tmp_path / "model", ran, where="tokenizer_config.json")
    asked = ["predict", "--model", str(model), "--text", "see you"] + ["--trust_remote_code"] * trusted

    if trusted:
        with pytest.raises(
            InputError, match="not loadable as a run.*Evil"
        ):  # the file, once run, defines no such class
            cli.run(asked)
    else:
        cli.run(asked)  # transformers has a tokenizer of this type, and takes its own

    assert ran.exists() == trusted


def test_code_of_a_tokenizer_that_transformers_lacks_is_refused(spam_model, spam_file, canary, tmp_path):  # noqa: F811
    model = with_code(spam_model, tmp_path / "model", canary, where="tokenizer_config.json")
    edited(model / "config.json", model_type="evil", architectures=[])

    with pytest.raises(InputError, match=REFUSED):
        cli.run(["check", str(spam_file), "--model_name_or_path", str(model)])


def test_the_base_of_an_adapter_runs_no_code(lora_run, canary, tmp_path):  # noqa: F811
    run = tmp_path / "run"
    shutil.copytree(lora_run, run)
    shutil.rmtree(run / "base_model")
    base = with_code(lora_run / "base_model", tmp_path / "base", canary, model_type="evil")
    edited(run / "adapter_config.json", base_model_name_or_path=str(base))

    load_run(run, AutoModelForSequenceClassification)  # by the config of the run: the base gives weights alone

    edited(run / "config.json", model_type="evil", auto_map={"AutoConfig": f"{base}--evil.Evil"})
    with pytest.raises(InputError, match=REFUSED):
        load_run(run, AutoModelForSequenceClassification)


@pytest.mark.parametrize("allowed", [False, True])
def test_a_pickle_in_the_place_of_weights_is_never_unpickled(allowed, spam_model, canary, tmp_path):  # noqa: F811
    model = tmp_path / "model"
    shutil.copytree(spam_model, model)
    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_bytes(pickled(canary))

    with pytest.raises(InputError, match="not loadable as a run, a checkpoint folder or a Hub id"):
        load_run(model, AutoModelForSequenceClassification)
    arguments = ModelArguments(model_name_or_path=str(model), allow_pickle=allowed)
    with pytest.raises(InputError, match="its pickle holds more than tensors" if allowed else "--allow_pickle"):
        load_model(arguments, TASK, train_texts=list)


def test_an_adapter_in_a_pickle_is_refused(lora_run, canary, tmp_path):  # noqa: F811
    run = tmp_path / "run"
    shutil.copytree(lora_run, run)
    (run / "adapter_model.safetensors").unlink()
    (run / "adapter_model.bin").write_bytes(pickled(canary))

    with pytest.raises(InputError, match="not loadable as a run.*adapter_model.safetensors"):
        load_run(run, AutoModelForSequenceClassification)


def test_tensors_of_a_pickle_are_read_where_that_is_allowed(spam_model, tmp_path):  # noqa: F811
    model = tmp_path / "model"
    shutil.copytree(spam_model, model)
    weights = load_file(model / "model.safetensors")
    torch.save(weights, model / "pytorch_model.bin")
    (model / "model.safetensors").unlink()

    loaded = load_model(ModelArguments(model_name_or_path=str(model), allow_pickle=True), TASK, train_texts=list)

    key = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(loaded.model.state_dict()[key], weights[key])


def test_a_data_set_with_a_script_is_refused(canary, tmp_path):
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "rows.py").write_text(f"open({str(canary)!r}, 'w')")

    with pytest.raises(InputError, match="--dataset_name .* cannot be opened"):
        load_named_dataset(DataArguments(dataset_name=str(folder)))


def test_a_chat_template_can_do_nothing_but_write(spam_model, canary, tmp_path):  # noqa: F811
    tokenizer, _ = load_run(spam_model, AutoModelForSequenceClassification)
    tokenizer.chat_template = f"{{{{ ''.__class__.__mro__[1].__subclasses__() }}}}{{{{ open({str(canary)!r}, 'w') }}}}"

    with pytest.raises(Exception, match="unsafe|undefined"):
        tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False)


def test_report_runs_no_script_that_run_json_names(canary, tmp_path):
    from tests.runs.test_run_folder import a_run

    run = a_run(tmp_path / "run")
    script = tmp_path / "evil.py"
    script.write_text(f"open({str(canary)!r}, 'w')")
    write_json(run / "run.json", {"seed": 3, "arguments": {"task": {"metrics": [str(script), "f2"]}}})
    score = {"value": 0.25, "low": 0.2, "high": 0.3, "n": 80, "signature": "evaluate:evil|ci:95"}
    write_json(run / "metrics.json", {"test": {"evil": score}})

    cli.run(["report", str(run)])

    written = json.loads((run / "metrics.json").read_text())["test"]
    assert written["evil"] == score
    assert "f2" in written


def test_classes_whose_code_came_with_a_checkpoint_are_named():
    foreign = type("EvilModel", (), {"__module__": "transformers_modules.x.evil"})

    assert classes_run(foreign(), object()) == "EvilModel"
    assert classes_run(object()) is None
