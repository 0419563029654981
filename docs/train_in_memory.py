"""A recipe's steps in a notebook, on a table in memory: split, train, choose the threshold, judge, compare.

Each `# %%` begins a cell. As it is it trains a small BERT from scratch on the embedded demo, in seconds on a CPU:
`python docs/train_in_memory.py`. Put `ModelArguments("google-bert/bert-base-uncased")` in to fine-tune a checkpoint;
every field of the argument classes is a flag of `recipes/spam.py --help`.
"""

# %% Data: a table in memory, here the embedded demo of spam
from pathlib import Path

import pandas as pd
from transformers import set_seed

from llmtune import Report
from llmtune.arguments import ModelArguments, TrainingArguments
from llmtune.arguments.parser import Arguments
from llmtune.data import InMemoryData
from llmtune.finish.write_run import write_run
from llmtune.inference import predict_splits
from llmtune.models.loading import load_model
from llmtune.preflight import begin_run, validate_metrics
from llmtune.tasks.text_classification.arguments import TextClassificationArguments
from llmtune.tasks.text_classification.task import TextClassification
from llmtune.training.trainer import FineTuningTrainer

DEMO = Path(__file__).parents[1] / "recipes" / "demo" / "spam"
messages = pd.concat([pd.read_csv(DEMO / f"{split}.csv") for split in ("train", "validation", "test")])

# %% What a command line would say
args = Arguments(
    data=InMemoryData(messages, name="messages", test_fraction=0.2),
    task=TextClassificationArguments(max_length=48, targets="recall[spam]>=0.8"),
    model=ModelArguments(
        model_type="bert",
        config_overrides="hidden_size=64,num_hidden_layers=2,num_attention_heads=2,intermediate_size=128",
    ),
    training=TrainingArguments(
        output_dir="runs/notebook", num_train_epochs=2, learning_rate=2e-3, per_device_train_batch_size=32, use_cpu=True
    ),
)
set_seed(args.training.seed)

# %% The rows: stratified splits, copies of a text on one side; a bad row stops here
splits = TextClassification.read(args)
task = TextClassification.from_arguments(args, splits)
validate_metrics(args, task, splits)

# %% The model
loaded = load_model(args.model, task, train_texts=lambda: task.train_texts(splits))
task = task.for_model(loaded)
encoded = task.encode_splits(splits, loaded.tokenizer)
begin_run(args, task, splits, encoded, loaded)

# %% Training: validation picks the checkpoint
trainer = FineTuningTrainer(
    model=loaded.model,
    args=args.training,
    train_dataset=encoded["train"].dataset,
    eval_dataset=encoded["validation"].dataset,
    processing_class=loaded.tokenizer,
    data_collator=task.data_collator(loaded.tokenizer, loaded.model),
    compute_loss_func=task.loss(args, splits),
    compute_metrics=task.validation_metrics(encoded["validation"]),
    preprocess_logits_for_metrics=task.reduce_logits,
)
trainer.train()

# %% The threshold is chosen on validation, then test is read, once
task, predictions = predict_splits(trainer, task, encoded)
folder = write_run(args, trainer, task, splits, encoded, predictions, loaded.facts)

# %% The report: in a notebook the last line of a cell shows the page
report = Report.from_run(folder)
print(report)
