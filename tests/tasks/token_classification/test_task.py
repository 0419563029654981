import datasets
import numpy as np
import pytest
import torch
from transformers import BertConfig

from llmtune.arguments import ModelArguments, TrainingArguments
from llmtune.errors import InputError
from llmtune.models.loading import load_model
from llmtune.tasks.losses import ClassificationLoss, read_class_weights
from llmtune.tasks.token_classification.arguments import TokenClassificationArguments
from llmtune.tasks.token_classification.task import TokenClassification
from llmtune.text.tag_schemes import entity_spans
from llmtune.training.trainer import FineTuningTrainer

TINY = {
    "bert": "hidden_size=16,num_hidden_layers=1,num_attention_heads=2,intermediate_size=32",
    "llama": "hidden_size=16,num_hidden_layers=1,num_attention_heads=2,num_key_value_heads=1,head_dim=8,"
    "intermediate_size=32",
}


def make_task(**changes):
    return TokenClassification(("O", "B-PER", "I-PER", "B-LOC", "I-LOC"), **{"max_length": 32, "stride": 8, **changes})


def rows_of(*sentences):
    return datasets.Dataset.from_dict({"tokens": [s.split() for s in sentences]})


def load(model_type, task, *, lora=False):
    arguments = ModelArguments(
        model_type=model_type, config_overrides=TINY[model_type], use_peft=lora, lora_r=4, tokenizer_vocab_size=300
    )
    return load_model(arguments, task, train_texts=lambda: ["Peter Blackburn lives in New-York ."] * 5)


def test_logits_become_the_best_tag_of_each_word_and_the_best_valid_iob2_of_the_row_with_its_probabilities():
    task = make_task()
    loaded = load("bert", task)
    windows = task.encode(rows_of("Peter lives in Rome"), loaded.tokenizer).index
    length = len(windows.inputs["input_ids"][0])
    logits = torch.zeros(1, length, 5)
    for word, tag in enumerate([2, 0, 4, 4]):  # I-PER O I-LOC I-LOC
        logits[0, windows.position[word], tag] = 3.0
    logits[0, windows.position[0], 0] = 2.0
    logits[0, windows.position[2], 3] = 1.0
    logits[0, windows.position[1]] = torch.tensor([float("nan"), 0, 0, 0, 0])

    outputs = tuple(part.numpy() for part in task.reduce_logits((logits, None), None))
    tagged = task.decode(outputs, windows)

    assert outputs[0].shape == outputs[1].shape == (1, length, 5)
    assert tagged.raw == [["I-PER", "O", "I-LOC", "I-LOC"]]
    assert tagged.tags == [["O", "O", "B-LOC", "I-LOC"]]
    assert (tagged.repairs, tagged.nonfinite) == (2, 1)
    e = np.exp
    expected = [e(2) / (e(3) + e(2) + 3), np.nan, e(1) / (e(3) + e(1) + 3), e(3) / (e(3) + 4)]
    np.testing.assert_allclose(tagged.probabilities[0], expected, rtol=1e-6)


def test_types_that_the_model_does_not_know_are_named_where_tags_are_scored():
    task = make_task()
    tokenizer = load("bert", task).tokenizer
    rows = rows_of("Peter lives", "Rome").add_column("tags", [["B-PER", "O"], ["B-CITY"]])

    assert task.encode(rows, tokenizer).notes[-1] == "types that the model does not know, so all missed: CITY 1"
    assert "know" not in " ".join(task.encode(rows.select([0]), tokenizer).notes)


def test_a_document_of_2000_words_keeps_all_its_entities_and_gets_one_tag_a_word_back():
    task = make_task(max_length=128, stride=32)
    words = [f"Peter{i}" if i % 7 == 0 else f"w{i}" for i in range(2000)]
    tags = ["B-PER" if i % 7 == 0 else "I-PER" if i % 7 == 1 else "O" for i in range(2000)]
    rows = datasets.Dataset.from_dict({"tokens": [words, ["Anna"]], "tags": [tags, ["B-PER"]]})

    windows = task.encode(rows, load("bert", task).tokenizer).index
    ids = np.full((len(windows.inputs), 128), 0)
    for window, labels in enumerate(windows.inputs["labels"]):
        ids[window, : len(labels)] = np.maximum(labels, 0)  # a perfect model, that says O where it isn't asked
    tagged = task.decode((ids[..., None], np.ones((*ids.shape, 1))), windows)

    assert windows.cut_rows == 1
    assert tagged.tags == [tags, ["B-PER"]]
    assert len(entity_spans(tagged.tags[0])) == 286
    assert windows.empty_words == 0


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("model_type", TINY)
def test_the_head_trains_and_the_overlap_counts_once_in_the_loss(model_type, lora):
    torch.manual_seed(0)
    task = make_task(max_length=16, stride=6)
    loaded = load(model_type, task, lora=lora)
    rows = datasets.Dataset.from_dict({"tokens": [["Peter", "in"] * 12], "tags": [["B-PER", "O"] * 12]})
    windows = task.encode(rows, loaded.tokenizer).index
    batch = task.data_collator(loaded.tokenizer)(list(windows.inputs))
    labels = batch.pop("labels")
    loss_of = ClassificationLoss()
    trainable = {name: p.clone() for name, p in loaded.model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.Adam([p for p in loaded.model.parameters() if p.requires_grad], lr=1e-2)

    losses = []
    for _ in range(20):
        loss = loss_of(loaded.model(**batch), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss))

    assert (labels != -100).sum() == 24
    assert len(windows.inputs) > 1
    assert losses[-1] < 0.5 * losses[0]
    head = [name for name in trainable if "classifier" in name or "score" in name]
    assert head
    assert all(not torch.equal(dict(loaded.model.named_parameters())[name], trainable[name]) for name in head)


def test_a_tag_that_train_never_shows_is_ignored_by_the_loss():
    task = make_task()
    rows = datasets.Dataset.from_dict({"tokens": [["a", "b"]], "tags": [["B-IP", "O"]]})

    assert task.encode(rows, load("bert", task).tokenizer).dataset["labels"] == [
        [-100, -100, 0, -100]
    ]  # [CLS] a b [SEP]
    assert task.label_ids(rows) == [-100, 0]


def test_settings_survive_the_models_config():
    arguments = TokenClassificationArguments(input_format="spans", max_length=64, stride=16)
    task = TokenClassification.from_options(arguments, ["LOC", "PER"])
    config = BertConfig(**task.head_config(), llmtune=task.to_config())

    assert TokenClassification.from_config(config, "run") == task
    assert task.types == ("LOC", "PER")


def test_a_model_without_entity_tags_is_refused():
    with pytest.raises(InputError, match="run: its classes LABEL_0 to LABEL_2 are no entity tags; write their names"):
        TokenClassification.from_config(BertConfig(num_labels=3), "run")


def test_a_text_comes_back_as_character_spans_with_scores():
    task = make_task(input_format="spans")
    texts = ["I met Anna B. yesterday", ""]
    rows, bounds = task.words_of_texts(texts)
    windows = task.encode(rows, load("bert", task).tokenizer).index
    tags = ["O", "O", "B-PER", "I-PER", "I-PER", "O"]
    ids = np.zeros((2, 32), dtype=int)
    ids[0, windows.position[:6]] = [task.tag_names.index(tag) for tag in tags]
    probabilities = np.full((2, 32), 0.5)
    probabilities[0, windows.position[:6]] = [1, 1, 0.9, 0.8, 0.7, 1]

    spans = task.spans(texts, bounds, task.decode((ids[..., None], probabilities[..., None]), windows))

    assert spans == [[{"start": 6, "end": 13, "label": "PER", "text": "Anna B.", "score": 0.7}], []]


def test_loss_and_gradient_do_not_depend_on_the_cut_of_the_effective_batch(tmp_path):
    task = make_task(max_length=16, stride=6)
    rows = datasets.Dataset.from_dict(
        {"tokens": [["Peter", "in"] * n for n in (1, 9, 2, 12)], "tags": [["B-PER", "O"] * n for n in (1, 9, 2, 12)]}
    )
    found = []
    for micro_batch, accumulation in ((8, 1), (4, 2), (2, 4)):
        torch.manual_seed(0)
        loaded = load("bert", task)
        for module in loaded.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        windows = task.encode(rows, loaded.tokenizer).index
        trainer = FineTuningTrainer(
            model=loaded.model,
            args=TrainingArguments(
                output_dir=str(tmp_path),
                per_device_train_batch_size=micro_batch,
                precision="fp32",
                max_steps=2,
                gradient_accumulation_steps=accumulation,
                logging_steps=1,
                eval_strategy="no",
                save_strategy="no",
            ),  # fmt: skip
            train_dataset=windows.inputs,
            data_collator=task.data_collator(loaded.tokenizer),
            compute_loss_func=ClassificationLoss(),
        )
        trainer.train()
        found.append([(log["loss"], log["grad_norm"]) for log in trainer.state.log_history if "grad_norm" in log])

    assert len(windows.inputs) > 4
    assert len(found[0]) == 2
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-5)


def test_a_tag_that_train_never_shows_gets_no_infinite_weight():
    weights = read_class_weights("balanced", [0, 0, 0, 1], ["O", "B-PER", "I-PER"])

    assert weights == (pytest.approx(4 / (2 * 3)), 2.0, 1.0)


@pytest.mark.parametrize(
    "names", [("B-LOC", "B-PER", "I-LOC", "I-PER", "O"), ("I-LOC", "I-PER", "O"), ("B-LOC", "I-LOC", "I-PER", "O")]
)
def test_of_a_model_made_elsewhere_whose_entities_begin_with_i_the_entities_are_kept(names):
    foreign = BertConfig(id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)})
    task = TokenClassification.from_config(foreign, "hub/model")
    windows = make_task().encode(rows_of("Ada Lovelace left London"), load("bert", make_task()).tokenizer).index
    logits = torch.zeros(1, len(windows.inputs["input_ids"][0]), len(names))
    for word, tag in enumerate(["I-PER", "I-PER", "O", "I-LOC"]):
        logits[0, windows.position[word], names.index(tag)] = 9.0

    tagged = task.decode(tuple(part.numpy() for part in task.reduce_logits(logits, None)), windows)

    assert tagged.tags == [["B-PER", "I-PER", "O", "B-LOC"]]
    assert min(tagged.probabilities[0]) > 0.99
