"""Bad files of rows, and bad columns, labels, tags, answers and series in them."""

import pyarrow as pa

from tests.bad_input.cases import GOOD, MODEL, ZIPPED, BadInput, lines, parquet

# What can be wrong with a whole file: (name, content, what the message says).
BROKEN_FILES = [
    ("empty.csv", b"", ("empty.csv", "the file is empty, expected at least one row; fill it or name another")),
    ("blank.csv", b" \n\n", ("blank.csv", "the file is empty, expected at least one row")),
    ("mark.csv", b"\xef\xbb\xbf", ("mark.csv", "the file is empty, expected at least one row")),
    ("header.csv", b"text,label\n", ("no rows (columns ['text', 'label']), expected at least one; fill the file",)),
    ("blank_line.csv", b"\ntext,label\na,b\n", ("line 1", "a blank line, expected the header", "delete it")),
    ("twice.csv", b"text,text\na,b\n", ("line 1", "the header names 'text' twice", "rename one of")),
    ("ragged.csv", b"text,label\na,b,c\n", ("row 1 (line 2)", "found 3 fields, expected 2", "in double quotes")),
    ("short.csv", b"text,label\na\n", ("row 1 (line 2)", "found 1 field, expected 2", "in double quotes")),
    ("open.csv", b'text,label\n"a,b\n', ("row 1", "a quote never closes", 'write a quote inside a quoted field as ""')),
    ("quotes.csv", b'text,label\n"a"b,c\n', ("row 1 (line 2)", "broken quoting", 'as ""')),
    ("names.jsonl", lines({"text": "a", "\ud800": 1}), ("the column name '\\ud800' is not valid Unicode; rename it",)),
    ("nul.csv", b"text,label\na\0b,c\n", ("line 2", "a NUL byte at offset", "expected UTF-8 text")),
    ("cp1252.csv", b"text,label\ncaf\xe9,b\n", ("line 2", "byte 0xe9", "is not UTF-8; convert the file")),
    ("utf16.csv", "text,label\na,b\n".encode("utf-16"), ("expected UTF-8 text, found UTF-16 text; save it as UTF-8",)),
    ("table.csv", parquet({"text": ["a"]}), ("expected UTF-8 text, found a parquet file; name it .parquet",)),
    ("packed.csv", ZIPPED, ("found gzip-compressed data; add .gz to its name",)),
    ("book.csv", b"PK\x03\x04 rest", ("a zip or Excel file; unpack it, or name the sheet .xlsx",)),
    ("cut.csv.gz", ZIPPED[:60], ("ends in .gz but is not whole gzip data", "compress it again, or drop the .gz")),
    ("plain.csv.gz", GOOD, ("ends in .gz but is not whole gzip data", "drop the .gz")),
    ("ragged.tsv", b"text\tlabel\na\tb\tc\n", ("row 1 (line 2)", "found 3 fields, expected 2", "delete tabs")),
    ("text.parquet", b"text,label", ("not readable as parquet", "write it again or mend its ending")),
    ("cut.parquet", parquet({"text": ["a"] * 9})[:80], ("not readable as parquet", "write it again")),
    (
        "twice.parquet",
        parquet(pa.table([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])),
        ("not readable as parquet (Multiple matches for FieldRef.Name(text)", "write it again"),
    ),
    (
        "bytes.parquet",
        parquet({"text": pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers()), "label": ["a"]}),
        ("row 1: column 'text' holds the byte 0xff, which is not UTF-8; decode the column by its own encoding",),
    ),
    (
        "times.parquet",
        parquet({"text": ["a"], "label": ["b"], "time": pa.array([2**62], pa.timestamp("us"))}),
        ("row 1: column 'time' holds a time of type timestamp[us] outside the years 1 to 9999", "write it as a text"),
    ),
    (
        "durations.parquet",
        parquet({"text": ["a"], "label": ["b"], "took": pa.array([[2**62]], pa.list_(pa.duration("s")))}),
        ("row 1: column 'took' holds a time of type list<", "write it as a text or a number"),
    ),
    ("not.xlsx", b"text,label\na,b\n", ("not readable as xlsx", "save the sheet as CSV UTF-8")),
    ("half.json", b'[{"text": "a"', ("not JSON", "mend it at that place")),
    ("lines.json", lines({"text": "a"}, {"text": "b"}), ("not JSON", "one object a line must end in .jsonl")),
    ("number.json", b"3", ("found 3, expected a list of objects or {'data': [objects]}", "write one object a row")),
    ("deep.json", b"[" * 100_000, ("deep.json: not JSON (", "mend it at that place")),
    ("deep.jsonl", b'{"a":' * 100_000, ("line 1: not readable JSON", "write one object a line")),
    ("mixed.json", b'[{"text": "a"}, 3]', ("row 2", "found 3, expected an object; write each row as an object")),
    ("repeated.json", b'[{"text": "a", "text": "b"}]', ("names the key 'text' twice; keep one of the two values",)),
    ("list.jsonl", b"[1]\n[2]\n", ("line 1", "found [1], expected an object", "write one object a line")),
    ("blank.jsonl", b'{"text": "a"}\n\n{"text": "b"}', ("line 2", "a blank line; write one object a line")),
    ("half.jsonl", b'{"text": "a"}\n{"text"', ("line 2", "not JSON", "write one object a line")),
    ("digits.jsonl", b'{"text": ' + b"9" * 5000 + b"}", ("line 1", "not readable JSON", "write one object a line")),
    ("letter.jsonl", b'{"text": "\\ud800"}', ("line 1", r"holds \ud800, half of a character", "write the whole")),
    ("one.conll", b"Ada\nran\n", ("its first line 'Ada' has one column, expected a word and its tag",)),
    (
        "ragged.conll",
        b"Ada B-PER\nran O x\n\n",
        (
            "line 2",
            "3 columns, expected 2; mend the line",
        ),
    ),
    ("comments.conll", b"# a\n# b\n", ("no line with a word and its tag, separated by a tab or space; fill the file",)),
    ("squad.json", b'{"data": [{"paragraphs": 3}]}', ("article 1", "found 3 as its 'paragraphs', expected a list")),
    ("qas.json", b'{"data": [{"paragraphs": [{"qas": [3]}]}]}', ("paragraph 1", "found 3 as question 1; write")),
    (
        "studio.json",
        b'[{"data": {"text": "a"}, "annotations": 0.5}]',
        ("row 1: its annotations hold 0.5, expected a list of {result: [{value: {…}}]}; export the tasks again",),
    ),
    (
        "results.json",
        b'[{"data": {"text": "a"}, "annotations": [{"result": [3]}]}]',
        ("row 1: its annotations hold 3, expected a list", "export the tasks again as JSON"),
    ),
    ("letter.doc", b"text", ("unknown ending '.doc', expected one of .csv, .tsv", "rename or convert the file")),
]
BAD_FILES = [
    BadInput(f"{command.split()[0]} {name}", command.format(name=name), {name: content}, says)
    for name, content, says in BROKEN_FILES
    for command in ("check --train_file {name}", f"train spam --train_file {{name}} {MODEL} --output_dir out")
] + [
    BadInput("check no file", "check", {}, ("no file to check; name one or more, as llmtune check train.csv",)),
    BadInput("check missing file", "check no.csv", {}, ("no.csv: no such file (looked in", "check the path")),
    BadInput("check folder", "check .", {}, (".: is a folder, expected a file; give a folder with --dataset_name",)),
    BadInput("train folder", f"train spam --train_file . {MODEL}", {}, ("is a folder, expected a file",)),
    BadInput(
        "check two files of a split",
        "check train.csv training.csv",
        {"train.csv": GOOD, "training.csv": GOOD},
        ("training.csv: train.csv is train already; say what each is with --train_file",),
    ),
    BadInput(
        "check names",
        "check a.csv b.csv",
        {"a.csv": GOOD, "b.csv": GOOD},
        ("a.csv: its name does not tell whether it is train, validation or test; say so with --train_file",),
    ),
    BadInput("check task", "check a.csv --task poetry", {"a.csv": GOOD}, ("--task 'poetry' is not one of",)),
]


def spam(name: str, content: str | bytes, says: str, flags: str = "", file: str = "t.csv") -> BadInput:
    """Rows that the recipe of spam refuses."""
    data = content.encode() if isinstance(content, str) else content
    argv = f"train spam --train_file {file} {MODEL} --output_dir out {flags}"
    return BadInput(f"spam {name}", argv, {file: data, "good.csv": GOOD}, tuple(says.split(" … ")))


def rows_of(*changed: str) -> bytes:
    return b"\n".join([GOOD, *(row.encode() for row in changed)])


CLASSES = [
    spam("no text column", "words,label\na,b\n", "t.csv: no column 'text' (--text_column); columns found … name one"),
    spam("no label column", "text,kind\na,b\n", "no column 'label' (--label_column); columns found: ['text', 'kind']"),
    spam("semicolons", "text;label\na;b\n", "the columns seem separated by semicolons; .csv needs commas, .tsv tabs"),
    spam("a near name", "text,Label\na,b\n", "did you mean --label_column 'Label'?"),
    spam("empty text", rows_of(",ham"), "row 41 (line 42): no text ('') in column 'text' … or delete the row"),
    spam("invisible text", rows_of("\u200b,ham"), "row 41 (line 42): no text ( … or delete the row"),
    spam("empty label", rows_of("hi,"), "row 41 (line 42): no label ('') … write the class in column 'label'"),
    spam("null text", lines({"text": None, "label": "a"}), "line 1: no text (null) … delete the row", file="t.jsonl"),
    spam("number text", lines({"text": 3, "label": "a"}), "line 1: found 3, expected text, … delete", file="t.jsonl"),
    spam("fraction label", lines({"text": "a", "label": 0.5}), "0.5 … --label_column", file="t.jsonl"),
    spam("list label", lines({"text": "a", "label": ["b", "c"]}), "for several labels a text train", file="t.jsonl"),
    spam("object label", lines({"text": "a", "label": {"b": 1}}), "is not text or a whole number", file="t.jsonl"),
    spam("one class", "text,label\na,b\nc,b\n", "has the one class 'b' in all 2 rows, expected at least two; add rows"),
    spam("too few rows", "text,label\na,b\nc,d\n", "are too few to hold out … Add rows or give --validation_file"),
    spam(
        "pair of itself",
        GOOD,
        "--text_pair_column text: is the column of the first text too",
        "--text_pair_column text",
    ),
    spam("no group", GOOD, "no column 'who' (--group_columns)", "--group_columns who"),
    spam(
        "group of our own",
        GOOD,
        "--group_columns prediction: the predictions table has a column",
        "--group_columns prediction",
    ),
    spam("no split group", GOOD, "no column 'who' (--split_group_column)", "--split_group_column who"),
    spam(
        "empty split group",
        "text,label,who\na,b,\nc,d,x\n",
        "no value in column 'who'; fill it, or leave",
        "--split_group_column who",
    ),
    spam(
        "unknown label",
        "text,label\nwin,spma\n",
        "v.csv row 1 (line 2): label 'spma' in column 'label' is not one of "
        "train's … did you mean 'spam'?; mend the label",
        "--train_file good.csv --validation_file v.csv",
        "v.csv",
    ),
    spam("label names", GOOD, "--label_names 'a': expected two or more labels with their names", "--label_names a"),
    spam("positive label", GOOD, "--positive_label … 'x' … ham", "--positive_label x"),
    spam("class weights", GOOD, "--class_weights '1,2,3': expected 2 numbers above 0", "--class_weights 1,2,3"),
    spam("weights of NaN", GOOD, "--class_weights 'nan,1': expected 2 numbers above 0", "--class_weights nan,1"),
    spam("weights of words", GOOD, "--class_weights 'heavy': expected none, balanced, or one", "--class_weights heavy"),
    spam("loss", GOOD, "--loss 'hinge' is not one of cross_entropy, focal", "--loss hinge"),
    spam("ordinal of two", GOOD, "--ordinal", "--ordinal"),
    spam("objective", GOOD, "--threshold_objective", "--threshold_objective luck>=2"),
    spam("temperature", GOOD, "--temperature", "--temperature warm"),
    spam("targets", GOOD, "--targets", "--targets f1>=very"),
    spam("target without a metric", GOOD, "--targets", "--targets bleu>=0.5"),
    spam("target of no label", GOOD, "--targets", "--targets recall[eggs]>=0.5"),
    spam("metrics", GOOD, "--metrics no_such_metric", "--metrics no_such_metric"),
    spam("best metric", GOOD, "--metric_for_best_model luck is not one of", "--metric_for_best_model luck"),
    spam("fold", GOOD, "--fold 3/2: expected i/K with 1 <= i <= K and K 2 or more", "--fold 3/2"),
    spam("fold of words", GOOD, "--fold half: expected i/K with 1 <= i <= K", "--fold half"),
    spam("fold and test", GOOD, "--fold 1/5 takes the test rows out of train", "--fold 1/5 --test_file good.csv"),
    spam("fractions", GOOD, "so the fractions must be", "--validation_fraction 0.6 --test_fraction 0.6"),
    spam("no rows of a class", GOOD, "raise --max_train_samples, shuffle", "--max_train_samples 1"),
    spam("window flags", GOOD, "--stride 8: is for long texts that are read in windows", "--stride 8"),
    spam("long text", GOOD, "--long_text 'all' is not one of truncate, windows", "--long_text all"),
    spam("both sources", GOOD, "are both given; give one of the two", "--dataset_name x"),
    spam("quoted rows", b'text,label\n"a,ham\nb,ham\nc",ham\n' + b"d,spam\n" * 20, "of 3 whole rows"),
]


def recipe(name: str, task: str, rows: bytes, says: str, flags: str = "", file: str = "t.jsonl") -> BadInput:
    """Rows that a recipe refuses."""
    argv = f"train {task} --train_file {file} {MODEL} --output_dir out {flags}"
    return BadInput(f"{task} {name}", argv, {file: rows}, tuple(says.split(" … ")))


SPANS = "--input_format spans"
LLAMA = "--model_type llama --config_overrides hidden_size=16,num_hidden_layers=1,num_attention_heads=2,head_dim=8"
BERT = "--model_type bert --config_overrides hidden_size=16,num_hidden_layers=1,num_attention_heads=2"
CHATS = f"{LLAMA} --input_format messages"
PROMPTS = f"{LLAMA} --input_format prompt_completion"
SERIES = b"time,target\n" + b"\n".join(f"{step},{step % 7}".encode() for step in range(200))
TASKS = [
    recipe("lengths", "ner", lines({"tokens": ["a", "b"], "tags": ["O"]}), "line 1 … 2 … 1"),
    recipe("null tags", "ner", lines({"tokens": ["a"], "tags": None}), "line 1 … tags"),
    recipe("a text of tags", "ner", lines({"tokens": ["a"], "tags": "O"}), "line 1 … tags"),
    recipe("null in tags", "ner", lines({"tokens": ["a"], "tags": [None]}), "line 1"),
    recipe("null in tokens", "ner", lines({"tokens": [None], "tags": ["O"]}), "line 1"),
    recipe("tag ids", "ner", lines({"tokens": ["a"], "tags": [7]}), "--label_names", "--label_names O,B-PER,I-PER"),
    recipe("format", "ner", lines({"tokens": ["a"], "tags": ["O"]}), "--input_format", "--input_format words"),
    recipe(
        "span outside", "ner", lines({"text": "a b", "spans": [{"start": 0, "end": 9, "label": "X"}]}), "line 1", SPANS
    ),
    recipe(
        "span backwards",
        "ner",
        lines({"text": "a b", "spans": [{"start": 2, "end": 1, "label": "X"}]}),
        "line 1",
        SPANS,
    ),
    recipe("span without label", "ner", lines({"text": "a b", "spans": [{"start": 0, "end": 1}]}), "line 1", SPANS),
    recipe(
        "spans overlap",
        "ner",
        lines({"text": "a b", "spans": [{"start": 0, "end": 3, "label": "X"}, {"start": 2, "end": 3, "label": "Y"}]}),
        "line 1",
        SPANS,
    ),
    recipe(
        "span of null",
        "ner",
        lines({"text": "a b", "spans": [{"start": None, "end": 1, "label": "X"}]}),
        "line 1",
        SPANS,
    ),
    recipe("spans of text", "ner", lines({"text": "a b", "spans": "all"}), "line 1", SPANS),
    recipe(
        "no answer there",
        "question_answering",
        lines({"question": "q", "context": "a b", "answers": {"text": ["c"], "answer_start": [0]}}),
        "line 1",
        BERT,
    ),
    recipe(
        "answer of text",
        "question_answering",
        lines({"question": "q", "context": "a b", "answers": "a"}),
        "line 1",
        BERT,
    ),
    recipe(
        "answer starts of null",
        "question_answering",
        lines({"question": "q", "context": "a b", "answers": {"text": ["a"], "answer_start": [None]}}),
        "line 1",
        BERT,
    ),
    recipe(
        "no context",
        "question_answering",
        lines({"question": "q", "answers": {"text": [], "answer_start": []}}),
        "no column 'context' (--context_column)",
        BERT,
    ),
    recipe(
        "empty question",
        "question_answering",
        lines({"question": "", "context": "a", "answers": {"text": [], "answer_start": []}}),
        "line 1",
        BERT,
    ),
    recipe(
        "a number that is text",
        "text_regression",
        lines({"text": "a", "label": "good"}),
        "column 'label' holds no number, but 'good': these are classes; train a classifier",
    ),
    recipe("a number that is NaN", "text_regression", b'{"text": "a", "label": NaN}', "label"),
    recipe(
        "an infinite number",
        "text_regression",
        b"text,label\na,inf\n",
        "column 'label' holds no number, but 'inf': these are classes; train a classifier",
        file="t.csv",
    ),
    recipe("no number", "text_regression", lines({"text": "a", "label": None}), "line 1"),
    recipe(
        "one number",
        "text_regression",
        lines(*[{"text": f"a {i}", "label": 1} for i in range(40)]),
        "expected numbers that differ; add rows",
    ),
    recipe(
        "clipping",
        "text_regression",
        lines(*[{"text": f"a {i}", "label": i} for i in range(40)]),
        "--clip_predictions",
        "--clip_predictions 5,1",
    ),
    recipe("no source", "translation", lines({"text": "a"}), "no column 'source' (--source_column)", LLAMA),
    recipe(
        "null target",
        "translation",
        lines({"source": "a", "target": None}),
        "line 1: found None in column 'target', expected a text or a list of texts; write the target",
        LLAMA,
    ),
    recipe(
        "template",
        "translation",
        lines({"source": "a", "target": "b"}),
        "{source} is missing; it may hold",
        f"{LLAMA} --prompt_template text",
    ),
    recipe(
        "documents", "summarization", lines({"document": 3, "summary": "b"}), "line 1: found 3, expected text", LLAMA
    ),
    recipe("no messages", "causal_lm", lines({"messages": None}), "line 1", CHATS),
    recipe("messages of text", "causal_lm", lines({"messages": "hi"}), "line 1", CHATS),
    recipe("messages of no role", "causal_lm", lines({"messages": [{"content": "hi"}]}), "line 1", CHATS),
    recipe("messages of numbers", "causal_lm", lines({"messages": [3]}), "line 1", CHATS),
    recipe("no completion", "causal_lm", lines({"prompt": "a", "completion": None}), "line 1", PROMPTS),
    recipe("documents of numbers", "causal_lm", lines({"text": 3}), "line 1: found 3, expected text", LLAMA),
    recipe("document start", "causal_lm", b"a\nb\n", "--document_start", f"{LLAMA} --document_start (", "t.txt"),
    recipe(
        "label sets of null",
        "text_classification",
        lines({"text": "a", "labels": ["x"]}, {"text": "b", "labels": None}),
        "line 2",
        "--label_column labels",
    ),
    recipe(
        "label columns",
        "text_classification",
        b"text,x,y\na,1,2\n",
        "found '2' in column 'y', expected 0 or 1",
        "--label_columns x y",
        "t.csv",
    ),
    recipe(
        "one label column",
        "text_classification",
        b"text,x\na,1\n",
        "expected two columns or more, each once",
        "--label_columns x",
        "t.csv",
    ),
    recipe(
        "problem type", "text_classification", b"text,label\na,1\n", "--problem_type", "--problem_type poetry", "t.csv"
    ),
    recipe("time of words", "forecasting", b"time,target\nnoon,1\nnoon,2\n", "row 1", file="t.csv"),
    recipe("time twice", "forecasting", b"time,target\n2024-01-01,1\n2024-01-01,2\n", "row 2", file="t.csv"),
    recipe("target of words", "forecasting", b"time,target\n1,a\n2,b\n", "row 1 … 'a'", file="t.csv"),
    recipe("infinite target", "forecasting", b"time,target\n1,inf\n2,3\n", "row 1", file="t.csv"),
    recipe(
        "series too short",
        "forecasting",
        b"time,target\n1,1\n2,2\n3,4\n",
        "--test_fraction 0.1: of 3 times in train it takes 0, expected 1 or more and a rest; change it",
        file="t.csv",
    ),
    recipe("inputs twice", "forecasting", b"time,target\n1,1\n", "'a' is named twice", "--input_columns a a", "t.csv"),
    recipe("scaler", "forecasting", SERIES, "--scaler 'log'", "--scaler log", "t.csv"),
    recipe("series and lookback", "forecasting", SERIES, "--lookback 900", "--lookback 900", "t.csv"),
]
ROWS = [*BAD_FILES, *CLASSES, *TASKS]
