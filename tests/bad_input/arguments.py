"""Bad arguments of recipes and commands, and bad files of arguments."""

from tests.bad_input.cases import GOOD, MODEL, BadInput

BERT = "--model_type bert"
LLAMA = "--model_type llama --config_overrides hidden_size=16,num_hidden_layers=1,num_attention_heads=2,head_dim=8"


def flags(typed: str, says: str, model: str = MODEL) -> BadInput:
    """Flags of the recipe of spam, whose data are good."""
    argv = f"train spam --train_file good.csv {model} --output_dir out {typed}"
    return BadInput(f"spam {typed}", argv, {"good.csv": GOOD}, tuple(says.split(" … ")))


NUMBERS = [
    flags("--adam_beta1 2", "--adam_beta1 2.0: expected 0 or more and below 1, how slowly … leave it out for 0.9"),
    flags("--adam_beta2 -1", "--adam_beta2 -1.0: expected 0 or more and below 1 … leave it out for 0.999"),
    flags("--adam_epsilon nan", "--adam_epsilon nan: expected a number above 0 and up to 1 … leave it out"),
    flags("--learning_rate nan", "--learning_rate nan: expected 0 or more; leave it out for 5e-05"),
    flags("--learning_rate 1e400", "--learning_rate inf: expected 0 or more"),
    flags("--weight_decay inf", "--weight_decay inf: expected 0 or more … leave it out for 0.0"),
    flags("--max_grad_norm nan", "--max_grad_norm nan: expected 0 or more … leave it out for 1.0"),
    flags("--warmup_steps -1", "--warmup_steps -1.0: expected 0 or more, optimizer steps, or below 1 a share"),
    flags("--warmup_ratio 7", "warmup_ratio … is a name of transformers 4 … write --warmup_steps"),
    flags("--label_smoothing_factor 2", "--label_smoothing_factor 2.0: expected 0 to 1 … leave it out"),
    flags("--neftune_noise_alpha nan", "--neftune_noise_alpha nan: expected 0 or more … leave it out"),
    flags("--seed 4294967296", "--seed 4294967296: expected 0 to 4294967295; leave it out for 42"),
    flags("--data_seed -1", "--data_seed -1: expected 0 to 4294967295; leave it out"),
    flags("--tokenizer_vocab_size 1000000000", "--tokenizer_vocab_size 1000000000: expected 1000000 or less entries"),
    flags("--tokenizer_vocab_size 3", "--tokenizer_vocab_size 3: expected 50 or more: letters, special tokens"),
    flags("--max_length 99999999999", "--max_length 99999999999: expected 16777216 or less tokens; leave it out"),
    flags("--lora_r 0 --use_peft", "--lora_r 0: expected 1 or more, the rank of the adapter; leave it out", LLAMA),
    flags("--lora_alpha 0 --use_peft", "--lora_alpha 0: expected 1 or more, the scale of the adapter", LLAMA),
    flags("--lora_dropout 1 --use_peft", "--lora_dropout 1.0: expected 0 or more and below 1, the share", LLAMA),
    flags("--max_steps -7", "--max_steps -7: expected 1 or more or -1, where -1 is as many as --num_train_epochs"),
    flags("--num_train_epochs nan", "--num_train_epochs nan: expected 0 or more; leave it out for 3.0"),
    flags("--gradient_accumulation_steps 0", "--gradient_accumulation_steps 0: expected 1 or more; leave it out"),
    flags("--per_device_train_batch_size 2147483648", "expected 2147483647 or less; leave it out for 8"),
    flags("--dataloader_num_workers -1", "--dataloader_num_workers -1: expected 0 or more; leave it out for 0"),
    flags("--dataloader_prefetch_factor 2", "--dataloader_prefetch_factor can only be set when"),
    flags("--eval_accumulation_steps 0", "--eval_accumulation_steps 0: expected 1 or more; leave it out"),
    flags("--logging_steps 0", "requires non-zero --logging_steps"),
    flags("--save_steps nan", "--save_steps nan: expected 0 or more, optimizer steps"),
    flags("--focal_gamma -1", "--focal_gamma -1.0: expected 0 or more; leave it out for 2.0"),
    flags("--validation_fraction 1.5", "--validation_fraction 1.5: expected 0 to 1, a share of train"),
    flags("--max_eval_samples 0", "--max_eval_samples 0: expected 1 or more; leave it out"),
    flags("--cpu_threads 99999", "--cpu_threads 99999: expected 4096 or less; leave it out"),
    flags("--learning_rate fast", "argument --learning_rate … invalid float value: 'fast'; --help lists the flags"),
    flags("--seed 1.5", "argument --seed … invalid int value: '1.5'; --help lists the flags"),
]
OPTIMIZATION = [
    flags("--lr_scheduler_kwargs {", "--lr_scheduler_kwargs '{': not JSON ( … write it as '{\"num_cycles\": 2}'"),
    flags("--lr_scheduler_kwargs cycles", "--lr_scheduler_kwargs 'cycles': not JSON … expected an object; write it as"),
    flags("--lr_scheduler_kwargs 3", "--lr_scheduler_kwargs 3: found a JSON int, expected an object with keys"),
    flags('--lr_scheduler_kwargs {"num_cycles":NaN}', "NaN is no number of JSON … expected an object; write it as"),
    flags('--lr_scheduler_kwargs {"num_cycles":2}', "linear does not take it … give the keys of --lr_scheduler_type"),
    flags('--lr_scheduler_type cosine --lr_scheduler_kwargs {"num_cycles":"two"}', "cosine does not take it"),
    flags("--lr_scheduler_type cosine_with_min_lr", "cosine_with_min_lr does not take it … give the keys of"),
    flags('--lr_scheduler_type polynomial --lr_scheduler_kwargs {"lr_end":1}', "polynomial does not take it … give"),
    flags(
        '--lr_scheduler_type constant_with_warmup --lr_scheduler_kwargs {"x":1}',
        "constant_with_warmup takes none; give",
    ),
    flags("--lr_scheduler_type zigzag", "zigzag"),
    flags("--optim magic", "magic"),
    flags("--optim sgd --optim_args momentum=-1", "--optim_args momentum=-1: sgd does not take it ( … key=value"),
    flags("--optim adamw_torch --optim_args nothing", "--optim_args nothing: adamw_torch does not take it"),
    flags("--use_liger_kernel", "--use_liger_kernel: needs liger_kernel, not installed here: pip install liger-kernel"),
    flags("--torch_compile_mode fast", "--torch_compile_mode 'fast' is not one of default, reduce-overhead"),
    flags("--torch_compile_backend magic", "--torch_compile_backend 'magic' is not one of … inductor"),
    flags("--accelerator_config nowhere.json", "--accelerator_config nowhere.json: no such file; expected a JSON"),
    flags('--accelerator_config {"magic":1}', "magic"),
    flags("--fsdp_config nowhere.json", "--fsdp_config nowhere.json: no such file; expected a JSON object, or a"),
    flags("--activation_checkpointing_kwargs []", "found a JSON list, expected an object with keys"),
]
WORDS = [
    flags("--learning_rte 1", "unknown flag '--learning_rte'; did you mean learning_rate?"),
    flags("stray", "unknown key 'stray'; --help_all lists the keys"),
    flags("--precision tf32", "--precision 'tf32' is not one of auto, fp32, bf16, fp16"),
    flags("--bf16 --fp16", "--bf16 and --fp16 are both given; give one of the two"),
    flags("--train_sampling_strategy magic", "'magic' is not one of batch_rebalance, random"),
    flags("--eval_strategy sometimes", "sometimes is not a valid IntervalStrategy"),
    flags("--report_to no_board", "--report_to no_board: unknown or not installed; installed are"),
    flags("--resume_from_checkpoint nowhere", "--resume_from_checkpoint nowhere: no such folder; name a checkpoint"),
    flags("--early_stopping_threshold 0.1", "add --early_stopping_patience N"),
    flags("--config_overrides magic=1", "lstm has no setting 'magic'; known are"),
    flags("--config_overrides hidden_size=big", "hidden_size=big is not of type int"),
    flags("--config_overrides vocab_size=9", "vocab_size is settled by the tokenizer"),
    flags("--config_overrides hidden_size", "is not of the form key=value"),
    flags("--config_overrides dropout=7", "--config_overrides: dropout=7.0: expected 0 or more and below 1, the share"),
    flags("--config_overrides hidden_dropout_prob=-1", "hidden_dropout_prob=-1.0: expected 0 or more", BERT),
    flags(
        "--config_overrides hidden_size=-4",
        "--model_type lstm, --config_overrides, … hidden_size is -4, expected 1 or more, below 2**31",
    ),
    flags("--model_type elephant", "elephant"),
    flags("--dtype float7", "--dtype 'float7' is not one of"),
    flags("--dtype float16", "--dtype float16: the weights of a model from scratch are float32; leave it out"),
    flags("--freeze_layers 1", "--freeze_layers keeps a checkpoint's weights, and --model_type begins at random"),
    flags("--lora_r 4", "--lora_r without --use_peft: every weight would be trained; add --use_peft or drop it"),
    flags("--use_peft --lora_target_modules nothing", "nothing", LLAMA),
    flags("--search learning_rate", "expected flag=low..high or flag=a|b"),
    flags("--search_trials 3", "--search_trials: there is nothing to try; add --search"),
    flags("--hub_model_id a/b/c --push_to_hub", "--hub_model_id a/b/c"),
    flags("--output_dir good.csv", "--output_dir good.csv: is a file; name a folder"),
]


def template(text: str, says: str) -> BadInput:
    """A prompt template of the recipe of translation."""
    argv = f"train translation --train_file t.csv {LLAMA} --output_dir out --prompt_template {text}"
    return BadInput(f"template {text}", argv, {"t.csv": b"source,target\n" + b"le chat,the cat\n" * 40}, (says,))


TEMPLATES = [
    template(
        "{source!r:>10}", "the field 'source' has a format (r), and a field is its name alone; write {{ for a brace"
    ),
    template("{source:>10}", "the field 'source' has a format (>10), and a field is its name alone"),
    template("{0}", "{0} is unknown; it may hold {source}, {source_lang}, {target_lang}"),
    template("{}", "{} is unknown; it may hold {source}"),
    template("{source.__class__}", "{source.__class__} is unknown; it may hold {source}"),
    template("{source", "expected '}' before end of string; write {{ for a brace"),
    template("}", "write {{ for a brace"),
]


def config(name: str, content: str | bytes, says: str) -> BadInput:
    """A file of arguments."""
    text = content.encode() if isinstance(content, str) else content
    argv = f"train spam --config c.yaml --train_file good.csv {MODEL} --output_dir out"
    return BadInput(f"config {name}", argv, {"c.yaml": text, "good.csv": GOOD}, tuple(says.split(" … ")))


CONFIGS = [
    config("list", "- a\n", "c.yaml: expected `key: value` lines, found list"),
    config("empty", "", "c.yaml: expected `key: value` lines, found nothing"),
    config("text", "learning_rate", "c.yaml: expected `key: value` lines, found 'learning_rate'"),
    config("tabs", "seed: 1\n\tmax_length: 3\n", "c.yaml: not readable as YAML"),
    config("open", "seed: [1, 2\n", "c.yaml: not readable as YAML"),
    config("latin", "run_name: caf\xe9\n".encode("latin-1"), "c.yaml: not readable as YAML"),
    config("zeros", b"seed: 1\0\n", "c.yaml: not readable as YAML"),
    config("unknown", "learning_rte: 1\n", "c.yaml: unknown key 'learning_rte'; did you mean learning_rate?"),
    config("twice", "seed: 1\nseed: 2\n", "c.yaml: seed stands on line 1 and on line 2; keep one of them"),
    config("null", "learning_rate:\n", "c.yaml: learning_rate: found no value, expected one; leave the key out"),
    config("word", "learning_rate: fast\n", "c.yaml: learning_rate: 'fast' does not fit"),
    config(
        "list of one", "learning_rate: [1, 2]\n", "c.yaml: learning_rate: found the list [1, 2], expected one value"
    ),
    config("mapping", "learning_rate: {a: 1}\n", "expected a value without keys of its own"),
    config("tag", "seed: !!python/object:os.system 3\n", "found the tag … expected a plain value; leave the tag out"),
    config("key of a list", "? [a, b]\n: 3\n", "expected a key, found list"),
    config("nan", "learning_rate: .nan\n", "c.yaml: learning_rate"),
    config("range", "adam_beta1: 2\n", "--adam_beta1 2.0: expected 0 or more and below 1"),
    config("choice", "lr_scheduler_type: zigzag\n", "zigzag"),
    config("itself", "config: c.yaml\n", "c.yaml: unknown key 'config'"),
    config("deep", "a: " + "[" * 3000 + "\n", "c.yaml: not readable as YAML"),
    config("anchor of itself", "metrics: &a [*a]\n", "c.yaml"),
]
COMMANDS = [
    BadInput(f"command {argv}", argv, {"t.csv": GOOD}, tuple(says.split(" … ")))
    for argv, says in (
        ("", "the following arguments are required: COMMAND"),
        ("fly", "invalid choice: 'fly'"),
        ("check t.csv --tset_file x", "unknown argument '--tset_file'; did you mean --test_file?"),
        ("check t.csv --max_length nan", "invalid int value: 'nan'"),
        ("check t.csv --max_length 0", "--max_length 0: expected 1 or more tokens; leave it out"),
        ("check t.csv --show -1", "--show -1: expected 0 or more; leave it out"),
        ("check t.csv --text_column word", "no column 'word' (--text_column)"),
        ("check t.csv --split_group_column who", "no column 'who' (--group_columns)"),
        ("check t.csv --label_columns x y", "no column 'x'"),
        ("check t.csv --sentence_column nr", "no column 'nr'"),
        ("check t.csv --model_name_or_path no/such", "--model_name_or_path no/such: no tokenizer could be loaded"),
        ("train", "the following arguments are required: RECIPE"),
        ("train poetry", "llmtune train poetry: no such recipe; name one of"),
        ("train spam --train_file t.csv", "data was named but no model: add --model_name_or_path"),
        ("train spam --model_type bert", "a model was named but no data: add --train_file FILE"),
        ("train spam --config no.yaml", "--config no.yaml: no such file"),
        ("train spam --train_file t.csv --model_name_or_path nowhere/x --output_dir out", "nowhere/x"),
        ("predict --model nowhere/x --text a", "nowhere/x: not loadable as a run, a checkpoint folder or a Hub id"),
        ("evaluate --model nowhere/x --test_file t.csv --output_dir out", "nowhere/x: not loadable as a run"),
        ("merge nowhere --output_dir out", "nowhere"),
        ("push nowhere --repo_id a/b --dry_run", "nowhere"),
        ("push . --repo_id a/b/c --dry_run", "--repo_id a/b/c"),
        ("compare no.csv no.csv --kind classification", "no.csv: no such file; give a predictions table"),
        ("benchmark --models x --tasks poetry=t.csv --output_dir out", "poetry"),
        ("benchmark --models x x --tasks classification=t.csv --output_dir out", "--models: x is named twice"),
        (
            "benchmark --models baselines --tasks classification=t.csv --output_dir out --concurrency 0",
            "--concurrency 0: expected 1 or more requests at a time; leave it out",
        ),
        (
            "benchmark --models baselines --tasks classification=t.csv --output_dir out --timeout nan",
            "--timeout nan: expected a number above 0 seconds; leave it out",
        ),
        (
            "benchmark --models baselines --tasks classification=t.csv --output_dir out --prompt_template {text!r}",
            "the field 'text' has a format (r), and a field is its name alone",
        ),
        ("benchmark --models baselines --tasks classification=t.csv --output_dir out --slo soon", "--slo"),
        ("benchmark --models baselines --tasks classification=t.csv --output_dir out --price much", "--price"),
    )
]
ARGUMENTS = [*NUMBERS, *OPTIMIZATION, *WORDS, *TEMPLATES, *CONFIGS, *COMMANDS]
